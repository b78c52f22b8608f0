"""Computing centres on a terminal: the verdict, the figures, the bill, what moves them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.report.centre_rows import rows
from suiren.report.centre_show import Show
from suiren.report.centre_text import (
    break_evens,
    caveats,
    changes,
    checks,
    compared,
    verdict_head,
    within_budget,
)
from suiren.report.centre_words import Words

_MOST_MOVED = 6
_BLOCKS = 30


def render(found: Mapping[str, Any], language: str = "en") -> Group:
    """The document of one centre or several as something rich can print."""
    words = Words(language)
    shows = [Show(words, centre["money"]["currency"]) for centre in found["centres"]]
    return Group(*_printed(found, shows, words))


def _printed(
    found: Mapping[str, Any], shows: list[Show], words: Words
) -> Iterator[RenderableType]:
    centres = found["centres"]
    for centre, show in zip(centres, shows, strict=True):
        yield _verdict(centre, show, words)
    yield _figures(centres, shows, words)
    if len(centres) > 1:
        yield _list(words("beside"), list(compared(found, shows, words)))
        yield _list(words("break even"), break_evens(found, shows, words))
    for centre, show in zip(centres, shows, strict=True):
        title = f" · {centre['title']}" if len(centres) > 1 else ""
        yield _bill(centre, show, words, title)
        if centre["money"]["within_budget"]:
            yield _list(words("check budget") + title, within_budget(centre, show, words))
        if centre["sensitivity"]:
            yield _moves(centre, words, title)
    yield _list(words("caveats"), caveats(centres, shows, words))


def _verdict(centre: Mapping[str, Any], show: Show, words: Words) -> Panel:
    colour = "green" if centre["goal"]["holds"] else "red"
    text = Text(verdict_head(centre, words), style=f"bold {colour}")
    for holds, name, told in checks(centre, show, words):
        text.append("\n✓ " if holds else "\n✗ ", style="green" if holds else "red")
        text.append(f"{name}: {told}", style="default")
    would = changes(centre, show, words)
    if would:
        text.append("\n" + words("alone"), style="default")
    for change in would:
        text.append(f"\n  → {change}", style="default")
    if not centre["goal"]["holds"] and not would:
        text.append("\n" + words("change none"), style="default")
    title = f"[bold]{escape(centre['title'])}[/] ({words('simulated')})"
    return Panel(text, title=title, title_align="left")


def _figures(centres: list[Mapping[str, Any]], shows: list[Show], words: Words) -> Table:
    several = len(centres) > 1
    table = Table(box=None, padding=(0, 2), show_header=several)
    table.add_column("", style="bold", no_wrap=True)
    for centre in centres:
        table.add_column(escape(centre["title"]), overflow="fold")
    columns = [rows(c, s, words) for c, s in zip(centres, shows, strict=True)]
    for name in dict.fromkeys(name for column in columns for name in column):
        table.add_row(words(name), *(escape(column.get(name, "–")) for column in columns))
    return table


def _bill(centre: Mapping[str, Any], show: Show, words: Words, title: str) -> Table:
    money = centre["money"]
    table = Table(title=escape(words("where money") + title), title_justify="left", box=None)
    for name, side in (("", "left"), ("quantity", "right"), ("price head", "right"),
                       ("total", "right"), ("share", "right")):  # fmt: skip
        table.add_column(words(name), justify=side)  # type: ignore[arg-type]
    table.add_column("")
    for line in money["lines"]:
        share = line["present"] / money["total"] if money["total"] else 0.0
        quantity = "" if line["name"] in ("maintenance_per_cent", "staff_per_year") else (
            show.count(line["quantity"]))  # fmt: skip
        table.add_row(
            words(line["name"]), quantity, show.price(line["name"], line["price"]),
            show.money(line["present"]) if line["price"] is not None else words("no price"),
            show.share(share) if line["price"] is not None else "", "█" * round(_BLOCKS * share),
        )  # fmt: skip
    table.add_row(words("total"), "", "", show.money(money["total"]), "", style="bold")
    return table


def _moves(centre: Mapping[str, Any], words: Words, title: str) -> Table:
    table = Table(title=escape(words("moves") + title), title_justify="left", box=None)
    for name in ("name", "kind", "row days", "row total", "row cost"):
        side = "left" if name in ("name", "kind") else "right"
        table.add_column(words(name), justify=side)  # type: ignore[arg-type]
    for row in centre["sensitivity"][:_MOST_MOVED]:
        name = words.price(row["name"]) if row["kind"] == "price" else words(row["name"])
        table.add_row(name, words(row["kind"]), *(
            " / ".join(f"{100 * (ratio - 1):+.1f} %" for ratio in row[key])
            for key in ("days_ratio", "total_ratio", "cost_ratio")
        ))  # fmt: skip
    return table


def _list(title: str, sentences: list[str]) -> Text:
    text = Text(title, style="italic")
    for sentence in sentences:
        text.append(f"\n· {sentence}", style="not italic")
    return text
