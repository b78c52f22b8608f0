"""Cards as tables for a terminal of 100 columns: a list, one card in full, several compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.hw.fact import Fact
from suiren.hw.spec import PEAK_FORMATS, Card
from suiren.units import show_bytes, show_rate, show_time

_STYLE = {"published": "green", "derived": "cyan", "fitted": "blue", "assumed": "yellow"}
_NONE = "–"
_LISTED = ("fp32", "tf32", "bf16", "fp16", "fp8")
#: Row of a comparison -> unit for `show_rate`, or a name handled in `quantity`.
_COMPARED = (
    ("memory_bytes", "memory"),
    ("memory_bytes_per_s", "memory bandwidth"),
    ("l2_bytes", "L2"),
    ("l2_bytes_per_s", "L2 bandwidth"),
    ("link.bytes_per_s", "links, both ways"),
    ("host_bytes_per_s", "host link, one way"),
    ("cores", "cores"),
    ("clock_hz", "clock"),
    ("tdp_w", "TDP"),
)


def quantity(name: str, value: float) -> str:
    """A fact's value with the unit that its name carries: `clock_hz` is `1.3 GHz`."""
    field = name.removeprefix("chip.").removeprefix("link.")
    if field.startswith(("matrix.", "vector.")):
        return f"{value:.5g} MAC/cycle"
    if field.startswith("printed_flop_per_s"):
        return show_rate(value, "OP/s" if field.endswith("int8") else "FLOP/s")
    if field.endswith("_efficiency"):
        return f"{value:.0%}"
    for ending, unit in (("_per_s", "B/s"), ("_hz", "Hz")):
        if field.endswith(ending):
            return show_rate(value, unit)
    if field.endswith("_bytes"):
        return show_bytes(value)
    if field.endswith("_s"):
        return show_time(value)
    for ending, unit in (("_w", "W"), ("_nm", "nm"), ("special_per_cycle", "per cycle")):
        if field.endswith(ending):
            return f"{value:g} {unit}"
    return f"{value:g}"


def chips_table(cards: Iterable[Card]) -> RenderableType:
    """One row a card: dense peaks in TFLOP/s, memory, bandwidth and links in GB/s, power."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.title, table.caption = "Cards (dense peaks in TFLOP/s)", "* rests on assumed facts"
    table.add_column("card", no_wrap=True)
    table.add_column("year")
    for heading in (*_LISTED, "GiB", "GB/s", "link", "W"):
        table.add_column(heading, justify="right", no_wrap=True)
    for card in cards:
        link_gb = f"{card.link.bytes_per_s / 1e9:.4g}" if card.link else _NONE
        table.add_row(
            card.name,
            str(card.year),
            *(_listed_peak(card, peak_format) for peak_format in _LISTED),
            f"{card.memory_bytes / 2**30:.4g}",
            f"{card.memory_bytes_per_s / 1e9:.5g}",
            link_gb,
            f"{card.tdp_w:g}",
        )
    return table


def _listed_peak(card: Card, peak_format: str) -> str:
    """The peak in TFLOP/s, starred where it is neither printed nor made of known MACs."""
    peak = card.peak_flop_per_s(peak_format)
    if not peak:
        return _NONE
    printed = card.printed_flop_per_s.get(peak_format)
    shaky = printed.kind == "assumed" if printed is not None else _rests_on_guess(card, peak_format)
    return f"{peak / 1e12:.4g}" + ("*" if shaky else "")


def _rests_on_guess(card: Card, peak_format: str) -> bool:
    made_of = [card.cores, card.clock_hz]
    for engine in (card.chip.matrix, card.chip.vector):
        made_of += [engine[peak_format]] if peak_format in engine else []
    return any(fact.kind == "assumed" for fact in made_of)


def card_page(card: Card) -> RenderableType:
    """Everything about one card: peaks by engine, facts with sources, conflicts, notes."""
    chip = card.chip
    head = Text.assemble(
        (card.title, "bold"),
        f"  ({card.name})\n{chip.vendor} {chip.title}, {card.year}, {card.form}, {card.use}\n",
        f"{card.cores:g} × {chip.core_name} at {quantity('clock_hz', card.clock_hz)}, "
        f"{show_bytes(card.memory_bytes)} {card.memory_type}",
    )
    parts: list[RenderableType] = [Panel(head), _peaks(card), _facts(card)]
    if card.conflicts:
        parts.append(_conflicts(card))
    parts += [Text(f"note: {note}") for note in card.notes]
    if not card.can_time:
        parts.append(Text("no peak was published: no time can be told", style="red"))
    num_facts, num_assumed = len(list(card.facts())), len(card.assumed())
    parts.append(Text(f"{num_assumed} of {num_facts} facts are assumed", style=_STYLE["assumed"]))
    return Group(*parts)


def _peaks(card: Card) -> Table:
    table = Table(title="Dense peaks", title_justify="left")
    table.add_column("format")
    for heading in ("matrix engine", "vector engine", "printed"):
        table.add_column(heading, justify="right")
    for peak_format in card.formats():
        name = f"printed_flop_per_s.{peak_format}"
        engines = (card.engine_flop_per_s(e, peak_format) for e in ("matrix", "vector"))
        printed = card.printed_flop_per_s.get(peak_format)
        cells = (quantity(name, peak) if peak else _NONE for peak in engines)
        table.add_row(peak_format, *cells, _NONE if printed is None else quantity(name, printed))
    return table


def _facts(card: Card) -> Table:
    table = Table(title="Facts", title_justify="left")
    table.add_column("fact", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("source", overflow="fold", ratio=1)
    for name, fact in card.facts():
        kind = Text(fact.kind, style=_STYLE[fact.kind])
        table.add_row(name, quantity(name, fact), kind, Text(fact.source))
    return table


def _conflicts(card: Card) -> Table:
    table = Table(title="Sources that disagree", title_justify="left", show_lines=True)
    table.add_column("fact")
    table.add_column("versions", overflow="fold")
    table.add_column("used", overflow="fold")
    for conflict in card.conflicts:
        versions = Text("\n".join(f"• {version}" for version in conflict.versions))
        table.add_row(conflict.field, versions, Text(conflict.used))
    return table


def compare_table(cards: Iterable[Card]) -> RenderableType:
    """Cards side by side; below each value its ratio to the first card."""
    shown = list(cards)
    table = Table(title="Cards compared (ratio to the first)", caption="* assumed")
    table.add_column("", no_wrap=True)
    for card in shown:
        table.add_column(card.name, justify="right")
    for peak_format in PEAK_FORMATS:
        peaks = [card.peak_flop_per_s(peak_format) for card in shown]
        if any(peaks):
            name = f"printed_flop_per_s.{peak_format}"
            table.add_row(f"{peak_format} peak", *_with_ratios(name, peaks))
    by_card: list[Mapping[str, Fact]] = [dict(card.facts()) for card in shown]
    for name, label in _COMPARED:
        facts = [known.get(name) for known in by_card]
        table.add_row(label, *_with_ratios(name, facts))
    balance = [_flop_per_byte(card) for card in shown]
    table.add_row("peak FLOP / memory byte", *_with_ratios("balance", balance))
    return table


def _flop_per_byte(card: Card) -> float:
    """Dense 16-bit peak, or the greatest there is, over memory bandwidth."""
    peak = max(card.peak_flop_per_s(f) for f in ("bf16", "fp16"))
    peak = peak or max((card.peak_flop_per_s(f) for f in card.formats()), default=0.0)
    return peak / card.memory_bytes_per_s if card.memory_bytes_per_s else 0.0


def _with_ratios(name: str, values: Iterable[float | None]) -> list[str]:
    """Cells of one row: value, a star if assumed, and the ratio to the first value."""
    row = list(values)
    first = row[0] if row else None
    cells = []
    for index, value in enumerate(row):
        if not value:
            cells.append(_NONE)
            continue
        star = "*" if isinstance(value, Fact) and value.kind == "assumed" else ""
        text = (quantity(name, value) if name != "balance" else f"{value:.3g}") + star
        ratio = f"\n{value / first:.2f}×" if index and first else ""
        cells.append(text + ratio)
    return cells
