"""The report on a terminal: the first trouble in plain words, then its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.numerics.nonfinite import number
from suiren.numerics.parting import PARTED_UNITS, Parted
from suiren.numerics.place import Place
from suiren.numerics.retry import Tried, advice
from suiren.numerics.run import Found
from suiren.numerics.trouble import Trouble
from suiren.units import show_bytes, show_time

MOST_ROWS = 10


def render(found: Found, fixes: Sequence[Tried], step_time_s: float | None) -> Group:
    """The whole report as something rich can print."""
    return Group(*_parts(found, fixes, step_time_s))


def _parts(
    found: Found, fixes: Sequence[Tried], step_time_s: float | None
) -> Iterator[RenderableType]:
    title = f"[bold]{escape(found.script)} on {escape(found.card.title)} against "
    title += f"{escape(found.against.title)}[/] (lock-step)"
    yield Panel(_headline(found), title=title, title_align="left")
    troubles = found.troubles
    if troubles:
        yield _statistics(troubles[0])
    if len(found.findings) > (1 if troubles else 0):
        yield _findings(found)
    if fixes:
        yield _fixes(fixes, step_time_s)
    yield from _divergence(found)
    yield from _losses(found)
    yield Text(_small_print(found), style="dim")


def _headline(found: Found) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    troubles = found.troubles
    if not troubles:
        grid.add_row("nothing", "[green]no op is off by more than its format explains[/]")
    else:
        first = troubles[0]
        grid.add_row("trouble", f"[bold red]{escape(first.headline)}[/]")
        grid.add_row("line", f"{escape(first.place.where)}: {escape(first.place.text)}")
        if first.made_by is not None:
            grid.add_row("made by", escape(_where(first.made_by)))
        told = advice(first)
        if told:
            grid.add_row("advice", escape(told))
        if first.times > 1:
            grid.add_row("again", f"{first.times} times, last in step {first.last_step}")
    parted = found.seen.parting.first
    where = "they do not" if parted is None else (
        f"step {parted.place.step}, {escape(_where(parted.place))}: "
        f"{_apart(parted)}"
    )  # fmt: skip
    grid.add_row("runs part", f"{where}   (beyond {PARTED_UNITS:.0f} roundoffs)")
    grid.add_row("ran", f"{found.num_steps} steps, {found.seen.num_ops:,} ops in lock-step")
    return grid


def _apart(parted: Parted) -> str:
    if math.isinf(parted.relative):
        return "not finite on the card"
    given = f"{parted.how}, its inputs were {100 * parted.inputs:.2g} % apart"
    return f"{100 * parted.relative:.2g} % apart, {parted.units:.3g} roundoffs ({given})"


def _where(place: Place) -> str:
    whose = f" of {place.module}" if place.module else ""
    return f"{place.op} in {place.phase}{whose}, {place.where}: {place.text}"


def _statistics(trouble: Trouble) -> Table:
    table = Table(title="its tensors", title_justify="left")
    table.add_column("tensor")
    table.add_column("format")
    for name in ("shape", "min", "max", "mean", "largest", "zero", "NaN", "∞"):
        table.add_column(name, justify="right")
    for row in trouble.tensors:
        table.add_row(
            row.role, row.format, " × ".join(map(str, row.shape)) or "scalar",
            number(row.minimum), number(row.maximum), number(row.mean),
            number(row.absolute_maximum), f"{row.percent_zero:.0f} %", f"{row.percent_nan:.0f} %",
            f"{row.percent_infinite:.0f} %",
        )  # fmt: skip
    return table


def _findings(found: Found) -> Table:
    table = Table(title="all findings, trouble first", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("step", justify="right")
    table.add_column("what", overflow="fold")
    table.add_column("times", justify="right")
    for trouble in found.findings[:MOST_ROWS]:
        style = "red" if trouble.weight == "trouble" else "dim"
        what = trouble.headline.partition(", ")[2]
        table.add_row(
            trouble.weight, str(trouble.place.step), escape(what), str(trouble.times), style=style
        )
    if len(found.findings) > MOST_ROWS:
        table.add_row("", "", f"and {len(found.findings) - MOST_ROWS} more (--json)", "")
    return table


def _fixes(fixes: Sequence[Tried], before_s: float | None) -> Table:
    table = Table(title="fixes tried, each by running the script again", title_justify="left")
    table.add_column("fix", style="bold")
    table.add_column("what happened", overflow="fold")
    table.add_column("step", justify="right")
    for tried in fixes:
        cost = "-"
        if tried.step_time_s is not None:
            cost = show_time(tried.step_time_s)
            if before_s:
                cost += f" ({100 * (tried.step_time_s / before_s - 1):+.0f} %)"
        told = f"[{'green' if tried.vanished else 'yellow'}]{escape(tried.told)}[/]"
        table.add_row(escape(tried.fix.title), told, cost)
    return table


def _divergence(found: Found) -> Iterator[RenderableType]:
    finite = [p for p in found.seen.parting.by_module.values() if math.isfinite(p.units)]
    rows = sorted(finite, key=lambda p: -p.units)[:6]
    if not rows or rows[0].relative == 0:
        return
    table = Table(title="where the two runs are furthest apart", title_justify="left")
    table.add_column("module", overflow="fold")
    table.add_column("phase")
    table.add_column("op")
    for name in ("step", "apart", "roundoffs"):
        table.add_column(name, justify="right")
    for row in rows:
        place = row.place
        table.add_row(
            escape(place.module or place.where), place.phase, escape(place.op), str(place.step),
            number(100 * row.relative) + " %", number(row.units),
        )  # fmt: skip
    yield table


def _losses(found: Found) -> Iterator[RenderableType]:
    losses = [x for x in found.losses if math.isfinite(x.card) and math.isfinite(x.shadow)]
    if not losses:
        return
    table = Table(title="loss of both runs", title_justify="left")
    table.add_column("step", justify="right")
    table.add_column("on the card", justify="right")
    table.add_column(f"in {found.against.title}", justify="right")
    table.add_column("difference", justify="right")
    shown = losses if len(losses) <= 6 else [*losses[:3], *losses[-3:]]
    for loss in shown:
        table.add_row(
            str(loss.step), f"{loss.card:.6g}", f"{loss.shadow:.6g}",
            f"{loss.card - loss.shadow:+.2e}",
        )  # fmt: skip
    yield table
    if len(losses) > 2:
        yield Text.from_ansi(_picture([x.step for x in losses], [x.card for x in losses],
                                      [x.shadow for x in losses]))  # fmt: skip


def _picture(steps: list[int], card: list[float], shadow: list[float]) -> str:
    """Both losses over the steps."""
    import plotext

    plotext.clear_figure()
    plotext.plotsize(72, 12)
    plotext.theme("clear")
    plotext.plot(steps, shadow, label="against")
    plotext.plot(steps, card, label="card")
    plotext.xlabel("step")
    return str(plotext.build())


def _small_print(found: Found) -> str:
    lines = [f"values of the other runs took {show_bytes(found.held_bytes)} at most"]
    if found.scaling.skipped:
        lines.append(f"the GradScaler skipped {len(found.scaling.skipped)} steps")
    if found.seen.unwatched:
        names = ", ".join(sorted(found.seen.unwatched)[:5])
        lines.append(f"not run again, the card's values stand for theirs: {names}")
    return "; ".join(lines)
