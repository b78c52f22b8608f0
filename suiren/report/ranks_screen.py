"""The answer for many ranks on a terminal: the whole, then the rank that bounds it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.report.answer import SPLIT
from suiren.report.host import host_work
from suiren.report.ranks import RankRow, RanksAnswer
from suiren.report.screen import COLOURS, render
from suiren.units import show_bytes, show_rate, show_time

BAR_WIDTH = 24
#: Rows of a table before it is cut.
MOST_ROWS = 16


def render_ranks(found: RanksAnswer) -> Group:
    """The whole answer as something rich can print."""
    return Group(*_parts(found))


def _parts(found: RanksAnswer) -> Iterator[RenderableType]:
    yield Panel(_headline(found), title=_title(found), title_align="left")
    yield _ranks(found)
    if found.collectives:
        yield _collectives(found)
    yield Text(f"\nrank {found.rank}, which is busiest:", style="bold")
    yield render(found.main)


def _title(found: RanksAnswer) -> str:
    script = escape(str(found.main.program.facts.get("script", "program")))
    cards = f"{found.world_size:,} × {escape(found.cluster.card.title)}"
    return f"[bold]{script} on {cards}[/] (simulated)"


def _headline(found: RanksAnswer) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for name, value in _facts(found):
        grid.add_row(name, value)
    return grid


def _facts(found: RanksAnswer) -> Iterator[tuple[str, str]]:
    seconds = found.step_time_s
    yield "machine", f"{escape(found.cluster.title)}: {escape(found.cluster.node.wiring)}"
    yield "step time", f"[bold green]{show_time(seconds)}[/]   {_classes(found)}"
    if seconds and found.batch.calls:
        speed = f"{found.samples / seconds:,.1f} samples/s"
        if found.tokens:
            speed += f", {found.tokens / seconds:,.0f} tokens/s"
        yield "throughput", f"{speed}   {found.samples:,} samples a step, {_sharing(found)}"
    yield "utilisation", f"MFU {100 * found.mfu:.1f} % of all cards"
    card = found.cluster.card
    yield (
        "peak memory",
        f"{show_bytes(found.peak_bytes)} of {show_bytes(card.memory_bytes)} on the fullest rank",
    )
    if seconds:
        yield (
            "energy",
            f"{found.energy_j:.3g} J a step in all cards, {found.energy_j / seconds:,.0f} W",
        )
    work = host_work(found.main)
    if work is not None:
        yield "host", work.sentence
    if found.notes:
        yield "taken so", escape("; ".join(found.notes))


def _classes(found: RanksAnswer) -> str:
    if len(found.classes) == 1:
        return "all ranks do the same" if found.world_size > 1 else "one rank"
    walked = f", {found.num_walked} walked" if found.num_walked != len(found.classes) else ""
    return f"{len(found.classes)} kinds of ranks{walked}"


def _sharing(found: RanksAnswer) -> str:
    if found.model_parallel == 1:
        return "every rank reads its own"
    return f"{found.model_parallel} ranks share each"


_COLUMNS = ("rank", "ranks alike", "kernels", "collectives", "waits for peers", "host work", "idle",
            "memory")  # fmt: skip


def _ranks(found: RanksAnswer) -> Table:
    table = Table(title="where each rank's step goes", title_justify="left")
    has_host = any(row.split_s["host work"] for row in found.rows)
    for name in _COLUMNS:
        if name == "host work" and not has_host:
            continue
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    rows = _distinct(found)
    for row in rows[:MOST_ROWS]:
        table.add_row(*_cells(row, found.step_time_s, has_host), _bar(row, found.step_time_s))
    if len(rows) > MOST_ROWS:
        table.caption = f"and {len(rows) - MOST_ROWS} more"
    return table


def _distinct(found: RanksAnswer) -> list[RankRow]:
    """Ranks of one kind that were walked apart stand once where they show the same."""
    rows = reversed(found.rows)
    shown = {(row.ranks, _cells(row, found.step_time_s, True)[1:]): row for row in rows}
    return sorted(shown.values(), key=found.rows.index)


def _cells(row: RankRow, seconds: float, has_host: bool) -> tuple[str, ...]:
    def share(part_s: float) -> str:
        return f"{100 * part_s / seconds:.1f} %" if seconds else "-"

    rest = row.split_s["idle"] + row.split_s["link"]
    host = (share(row.split_s["host work"]),) if has_host else ()
    return (
        str(row.rank), f"{len(row.ranks):,}", share(row.busy_s), share(row.split_s["collective"]),
        share(row.split_s["peer"]), *host, share(rest), show_bytes(row.peak_bytes),
    )  # fmt: skip


def _bar(row: RankRow, seconds: float) -> Text:
    bar = Text()
    for part in SPLIT:
        share = row.split_s[part] / seconds if seconds else 0.0
        bar.append("█" * round(share * BAR_WIDTH), style=COLOURS[part])
    return bar


def _collectives(found: RanksAnswer) -> Table:
    table = Table(
        title=f"collectives of rank {found.rank} in one step, as if each ran alone",
        title_justify="left",
    )
    table.add_column("collective")
    table.add_column("group")
    for name in ("ranks", "count", "bytes", "time", "bus bandwidth"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("how")
    for row in found.collectives[:MOST_ROWS]:
        rate = show_rate(row.bus_bytes_per_s, "B/s") if row.bus_bytes else "-"
        table.add_row(
            row.name, escape(row.group), f"{row.ranks:,}", f"{row.count:,}",
            show_bytes(int(row.bytes)), show_time(row.time_s), rate,
            f"{row.algorithm}, bound by {row.bound}",
        )  # fmt: skip
    return table
