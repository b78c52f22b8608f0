"""Records on the terminal: a list, and one with how it was asked and what it told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from suiren.history.digest import look_up
from suiren.history.figures import FIGURES, show
from suiren.history.store import Record
from suiren.units import show_bytes, show_time


def listing(records: Sequence[Record]) -> RenderableType:
    """Records as a table, in the order given."""
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for name in ("id", "kind", "when (UTC)", "title", "on"):
        table.add_column(name, no_wrap=name != "title", overflow="fold")
    for name in ("step", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("tags", overflow="fold")
    for one in records:
        table.add_row(
            one.id, one.kind, when(one), escape(one.title), escape(one.card),
            "" if one.step_s is None else show_time(one.step_s),
            "" if one.memory_bytes is None else show_bytes(one.memory_bytes),
            escape(" ".join(one.facts.get("tags", ()))),
        )  # fmt: skip
    return table


def when(record: Record) -> str:
    """Date and minute, UTC."""
    return record.made_at[:16].replace("T", " ")


def one_record(record: Record, document: Mapping[str, Any]) -> RenderableType:
    """How a record was asked and its figures."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    facts = record.facts
    versions = ", ".join(f"{name} {text}" for name, text in (facts.get("versions") or {}).items())
    for name, text in (
        ("when", f"{when(record)} UTC"), ("command", facts.get("command", "")),
        ("folder", facts.get("folder", "")), ("script", facts.get("script", "")),
        ("its hash", facts.get("script_sha256", "")[:16]), ("versions", versions),
        ("tags", " ".join(facts.get("tags", ()))), ("on", record.card),
    ):  # fmt: skip
        if text:
            grid.add_row(name, escape(str(text)))
    for name, place, unit in FIGURES.get(record.kind, ()):
        value = look_up(document, place)
        if isinstance(value, (int, float)):
            grid.add_row(name, show(float(value), unit))
    return Group(Text(f"{record.id}  {record.kind}  {record.title}", style="bold green"), grid)
