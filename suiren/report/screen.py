"""The answer on a terminal: what it takes, why, what it rests on, what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.report.answer import SPLIT, Answer, Row
from suiren.report.host import advice, host_work
from suiren.units import show_bytes, show_rate, show_time

COLOURS = {"matrix": "green", "vector": "cyan", "memory": "yellow", "l2": "bright_yellow",
           "link": "magenta", "collective": "blue", "launch": "red",
           "peer": "white", "host work": "bright_blue", "idle": "bright_black"}  # fmt: skip
BAR_WIDTH = 60


def render(answer: Answer, *, top: int = 10) -> Group:
    """The whole answer as something rich can print."""
    return Group(*_parts(answer, top))


def _parts(answer: Answer, top: int) -> Iterator[RenderableType]:
    yield Panel(_headline(answer), title=_title(answer), title_align="left")
    yield _split(answer)
    yield _owners(answer)
    yield _ops(answer, top)
    yield from _doubts(answer)
    yield _changes(answer)


def _title(answer: Answer) -> str:
    script = escape(str(answer.program.facts.get("script", "program")))
    return f"[bold]{script} on {escape(answer.card.title)}[/] (simulated)"


def _headline(answer: Answer) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for name, value in _facts(answer):
        grid.add_row(name, value)
    return grid


def _facts(answer: Answer) -> Iterator[tuple[str, str]]:
    seconds = answer.step_time_s
    if not answer.is_whole:
        yield "time so far", f"{show_time(seconds)}   no whole step ran"
    else:
        yield from _speed(answer)
    yield from _memory_and_power(answer)
    found = host_work(answer)
    if found is not None:
        yield "host", f"{found.sentence}; {advice(answer)}"


def _speed(answer: Answer) -> Iterator[tuple[str, str]]:
    seconds, batch = answer.step_time_s, answer.batch
    yield (
        "step time",
        (
            f"[bold green]{show_time(seconds)}[/]   {_which(answer)}, "
            f"{len(answer.step_times_s)} steps ran, "
            f"{answer.num_warm_up} warm-up"
        ),
    )
    speed = f"{batch.samples / seconds:,.1f} samples/s" if seconds and batch.calls else "-"
    if batch.tokens and seconds:
        speed += f", {batch.tokens / seconds:,.0f} tokens/s"
    yield (
        "throughput",
        f"{speed}   {batch.in_words}",
    )
    yield (
        "utilisation",
        (
            f"MFU {100 * answer.mfu:.1f} %, HFU {100 * answer.hfu:.1f} % of "
            f"{show_rate(answer.peak_flop_per_s, 'FLOP/s')}"
        ),
    )


def _memory_and_power(answer: Answer) -> Iterator[tuple[str, str]]:
    share = 100 * answer.peak_bytes / answer.card.memory_bytes if answer.card.memory_bytes else 0
    yield (
        "peak memory",
        (
            f"{show_bytes(answer.peak_bytes)} of {show_bytes(answer.card.memory_bytes)} "
            f"({share:.1f} %)"
        ),
    )
    if answer.fit_sentence:
        yield "fits", answer.fit_sentence
    yield (
        "energy",
        (
            f"{answer.energy_j:.3g} J {_for(answer)}, {answer.average_power_w:.0f} W on average "
            f"of {answer.card.tdp_w:.0f} W"
            + (
                ""
                if answer.clock_share == 1.0
                else f"; the limit holds the clock at {100 * answer.clock_share:.0f} %"
            )
        ),
    )


def _for(answer: Answer) -> str:
    return "a step" if answer.is_whole else "so far"


def _which(answer: Answer) -> str:
    """Which step is reported: the one that repeats, or the last where none does."""
    program = answer.program
    key = program.steady()
    repeats = key is None or len(program.order) <= 2 or program.order.count(key) > 1
    return "steady step" if repeats else "last step (none repeats)"


#: Parts that only some runs have: ranks among others, and those whose host computes.
_NOT_ALWAYS = ("collective", "peer", "host work")


def shown_parts(answer: Answer) -> list[str]:
    """Parts of the step in the order they are shown; those of many ranks only where there are."""
    last = ("launch", "link", *_NOT_ALWAYS, "idle")
    ordered = [*(p for p in SPLIT if p not in last), "link", "launch", *_NOT_ALWAYS, "idle"]
    return [p for p in ordered if p not in _NOT_ALWAYS or answer.split_s.get(p)]


def _split(answer: Answer) -> RenderableType:
    bar = Text()
    legend = Text()
    for part in shown_parts(answer):
        seconds = answer.split_s.get(part, 0.0)
        share = seconds / answer.step_time_s if answer.step_time_s else 0.0
        bar.append("█" * round(share * BAR_WIDTH), style=COLOURS[part])
        legend.append(f"{part} {100 * share:.1f} %  ", style=COLOURS[part])
    return Panel(Group(bar, legend), title="where the step's time goes", title_align="left")


def _owners(answer: Answer) -> Table:
    table = Table(title="who owns the memory at its peak", title_justify="left", expand=False)
    table.add_column("kind")
    table.add_column("size", justify="right")
    table.add_column("largest owner", overflow="fold")
    kinds = answer.memory.by_kind()
    for kind, size in kinds.items():
        if size:
            largest = next(o for o in answer.memory.owners if o.kind == kind)
            table.add_row(
                kind, show_bytes(size), f"{escape(largest.name)}  {show_bytes(largest.bytes)}"
            )
    return table


def _ops(answer: Answer, top: int) -> Table:
    table = Table(
        title=f"the {min(top, len(answer.ops))} ops that take longest", title_justify="left"
    )
    table.add_column("op")
    for name in ("calls", "time", "share", "bound by", "of roofline"):
        table.add_column(name, justify="right" if name != "bound by" else "left")
    for row in answer.ops[:top]:
        table.add_row(*_op_cells(row, answer))
    return table


def _op_cells(row: Row, answer: Answer) -> tuple[str, ...]:
    why = row.why
    return (
        _op_name(row.name),
        f"{row.calls}",
        show_time(row.time_s),
        f"{100 * row.time_s / answer.step_time_s:.1f} %",
        f"[{COLOURS.get(why, 'white')}]{escape(why)}[/]",
        f"{100 * row.roofline_share:.0f} %",
    )


def _op_name(op: str) -> str:
    """An op as a reader knows it: no namespace, fused attention by its common name."""
    name = op.removeprefix("aten::")
    return escape(
        name.replace("_scaled_dot_product_fused_attention_overrideable", "fused_attention")
    )


def _doubts(answer: Answer) -> Iterator[RenderableType]:
    yield Text(
        f"approximated ops: {100 * answer.approximated_share:.2f} % of the step", style="bold"
    )
    for row in answer.approximated[:5]:
        yield Text(f"  {row.name}: traffic only, {show_time(row.time_s)}")
    yield Text("fallbacks to the host: none", style="bold")
    if answer.hazards:
        table = Table(title="porting hazards", title_justify="left")
        for name, width in (("kind", 15), ("op", 12), ("a step", 6), ("what it means", 20)):
            justify: Literal["left", "right"] = "right" if name == "a step" else "left"
            table.add_column(
                name, justify=justify, no_wrap=True, overflow="ellipsis", min_width=width,
                max_width=52,
            )  # fmt: skip
        for hazard in answer.hazards[:8]:
            table.add_row(hazard.kind, _op_name(hazard.op), str(hazard.count), escape(hazard.text))
        yield table
    if answer.rested:
        table = Table(title="assumed facts this rests on", title_justify="left")
        table.add_column("fact", no_wrap=True, min_width=18)
        table.add_column("value", justify="right", no_wrap=True, min_width=9)
        table.add_column("+20 % changes step", justify="right", no_wrap=True, min_width=11)
        table.add_column("why", no_wrap=True, overflow="ellipsis", max_width=44)
        for rested in answer.rested[:8]:
            effect = f"{rested.effect_percent:+.2f} %" if rested.effect_percent else "energy only"
            table.add_row(
                rested.name, f"{float(rested.fact):.4g}", effect, escape(rested.fact.source)
            )
        yield table


def _changes(answer: Answer) -> RenderableType:
    if not answer.is_whole:
        return Text("no change was simulated: no whole step ran", style="bold")
    if not answer.changes:
        return Text(
            "no change that we can simulate would help by more than half a percent", style="bold"
        )
    table = Table(title="changes that would help most (each simulated)", title_justify="left")
    table.add_column("change", style="bold")
    table.add_column("gain", justify="right", style="green")
    table.add_column("how", overflow="fold")
    for change in answer.changes[:3]:
        how = escape(change.how) + (
            f" [dim]({escape(change.caution)})[/]" if change.caution else ""
        )
        table.add_row(change.name, f"+{change.gain_percent:.0f} %", how)
    return table
