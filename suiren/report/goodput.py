"""Goodput on a terminal and as JSON: what is kept, what takes the rest, and when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.fleet.faults import S_PER_DAY, S_PER_H, Faults, Recovery
from suiren.fleet.goodput import PARTS, Goodput, Job
from suiren.fleet.interval import Interval
from suiren.hw.fact import Fact
from suiren.units import show_bytes, show_time

#: How a period looks: shade on the terminal, its colour there, and on the page.
LOOKS = {
    "training": ("█", "green", "#228833"),
    "lost work": ("▓", "red", "#cc3311"),
    "detection": ("▒", "bright_red", "#ee9933"),
    "restart": ("▚", "yellow", "#ddaa33"),
    "waiting for a node": ("░", "magenta", "#aa3377"),
}
_MOST_ROWS, _WIDTH = 31, 84


@dataclass(frozen=True)
class GoodputAnswer:
    """A job's month: the run of the seed, the runs beside it, and the interval."""

    title: str
    job: Job
    faults: Faults
    recovery: Recovery
    checkpoint_bytes: float
    storage_bytes_per_s: Fact
    seed: int
    all_runs: tuple[Goodput, ...]
    """The first is the run of the seed."""
    best: Interval | None
    """None where the interval was given."""
    formulas_s: tuple[float, float]
    """Young's and Daly's interval."""

    @property
    def run(self) -> Goodput:
        """The run of the seed."""
        return self.all_runs[0]

    @property
    def mtbf_s(self) -> float | None:
        """Mean time between failures of the whole job; None if nothing fails."""
        rate = self.faults.rate_per_s(self.job.chips, self.job.nodes)
        return 1 / rate if rate else None

    def shares(self) -> list[float]:
        """Goodput of every run, ascending."""
        return sorted(run.share for run in self.all_runs)

    def facts(self) -> Iterator[tuple[str, Fact]]:
        """The facts it rests on, with the part they belong to."""
        for failures in self.faults.failures:
            yield f"mean time between failures, {failures.part}", failures.mean_s
        yield "storage, bytes/s", self.storage_bytes_per_s
        yield "detection, s", self.recovery.detect_s
        yield "restart, s", self.recovery.restart_s
        yield "repair, s", self.recovery.repair_s


def render(answer: GoodputAnswer) -> Group:
    """The whole answer as something rich can print."""
    return Group(*_printed(answer))


def _printed(answer: GoodputAnswer) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for row in headline(answer):
        grid.add_row(*row)
    title = f"[bold]{escape(answer.title)}[/] (simulated)"
    yield Panel(grid, title=title, title_align="left")
    yield _spent(answer)
    if answer.run.num_failures:
        yield _failed(answer)
    yield picture(answer.run)
    yield _rests(answer)


def headline(answer: GoodputAnswer) -> Iterator[tuple[str, str]]:
    """(name, sentence) of what matters most."""
    run, job, shares = answer.run, answer.job, answer.shares()
    days = run.horizon_s / S_PER_DAY
    spread = (
        f"; {len(shares)} seeds: mean {100 * fmean(shares):.2f} %, "
        f"{100 * shares[0]:.2f} to {100 * shares[-1]:.2f} %" if len(shares) > 1 else ""
    )  # fmt: skip
    yield "goodput", f"[bold green]{100 * run.share:.2f} %[/] of {days:g} days{spread}"
    yield "progress", f"{run.steps:,.0f} steps of {show_time(job.step_s)}"
    mtbf = f", one in {hours(answer.mtbf_s)} on average" if answer.mtbf_s else ""
    yield "failures", f"{run.num_failures:,}{mtbf}"
    save = job.checkpoint
    every = f"{save.every_steps:,} steps ({show_time(save.every_steps * job.step_s)})"
    lag = f", safe {show_time(save.lag_s)} later" if save.lag_s else ""
    yield (
        "checkpoint",
        f"every {every}; {show_bytes(answer.checkpoint_bytes)}, "
        f"training stands {show_time(save.pause_s)}{lag}",
    )
    if answer.mtbf_s:
        found = "best of those tried" if answer.best else "given"
        young, daly = (show_time(s) for s in answer.formulas_s)
        yield "interval", f"{found}; Young's formula {young}, Daly's {daly}"


def hours(seconds: float) -> str:
    """A long time in days, hours or less."""
    if seconds >= 2 * S_PER_DAY:
        return f"{seconds / S_PER_DAY:,.1f} days"
    return f"{seconds / S_PER_H:.2f} h" if seconds >= S_PER_H else show_time(seconds)


def _spent(answer: GoodputAnswer) -> Table:
    table = Table(title="where the time goes", title_justify="left", box=None)
    for name, side in (("part", "left"), ("share", "right"), ("time", "right"), ("mean", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    table.add_column("")
    for part in PARTS:
        seconds = answer.run.spent_s[part]
        mean = fmean(run.spent_s[part] for run in answer.all_runs) / answer.run.horizon_s
        share = seconds / answer.run.horizon_s
        if max(share, mean) < 1e-6:
            continue
        table.add_row(part, f"{100 * share:.2f} %", hours(seconds), f"{100 * mean:.2f} %",
                      "█" * round(40 * share))  # fmt: skip
    return table


def _failed(answer: GoodputAnswer) -> Table:
    table = Table(title="what failed", title_justify="left", box=None)
    table.add_column("part")
    table.add_column("failures", justify="right")
    table.add_column("expected", justify="right")
    job, horizon_s = answer.job, answer.run.horizon_s
    for kind in answer.faults.failures:
        expected = kind.count(job.chips, job.nodes) * horizon_s / float(kind.mean_s)
        table.add_row(kind.part, f"{answer.run.failures.get(kind.part, 0):,}", f"{expected:,.1f}")
    return table


def picture(run: Goodput, width: int = _WIDTH) -> Text:
    """The run folded into rows of whole days; a cell shows what took most of it but training."""
    days = max(1, -(-int(run.horizon_s) // int(S_PER_DAY)))
    per_row = -(-days // _MOST_ROWS)
    rows = -(-days // per_row)
    cell_s = per_row * S_PER_DAY / width
    cells: list[dict[str, float]] = [{} for _ in range(rows * width)]
    for period in run.periods:
        at = period.start_s
        while at < period.end_s - 1e-9:
            index = min(len(cells) - 1, int(at / cell_s + 1e-9))
            until = min(period.end_s, (index + 1) * cell_s)
            cells[index][period.kind] = cells[index].get(period.kind, 0.0) + until - at
            at = max(until, at + 1e-6)
    text = Text()
    for row in range(rows):
        text.append(f"day {row * per_row + 1:>4} ")
        for cell in cells[row * width : (row + 1) * width]:
            shade, colour = _look(cell)
            text.append(shade, style=colour)
        text.append("\n")
    for kind, (shade, colour, _) in LOOKS.items():
        text.append(f"  {shade} ", style=colour)
        text.append(kind)
    return text.append("\n")


def _look(cell: dict[str, float]) -> tuple[str, str]:
    if not cell:
        return " ", ""
    # a month of good training would hide short losses: they win from a quarter of a cell on
    total = sum(cell.values())
    lost = {kind: s for kind, s in cell.items() if kind != "training"}
    kind = max(lost, key=lambda k: lost[k]) if sum(lost.values()) > total / 4 else "training"
    return LOOKS[kind][:2]


def _rests(answer: GoodputAnswer) -> Table:
    table = Table(title="it rests on", title_justify="left", box=None, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for name, fact in answer.facts():
        value = hours(float(fact)) if not name.startswith("storage") else f"{float(fact):.3g}"
        table.add_row(name, f"{value}, {fact.kind}", escape(fact.source))
    return table


def document(answer: GoodputAnswer) -> dict[str, object]:
    """Everything, units in the keys; the same seed gives the same document."""
    run, job, best = answer.run, answer.job, answer.best
    return {
        "title": answer.title, "chips": job.chips, "nodes": job.nodes, "seed": answer.seed,
        "step_s": job.step_s, "horizon_s": run.horizon_s, "goodput_share": run.share,
        "steps": run.steps, "spent_s": run.spent_s, "failures": run.failures,
        "mean_time_between_failures_s": answer.mtbf_s,
        "checkpoint": {
            "bytes": answer.checkpoint_bytes, "every_steps": job.checkpoint.every_steps,
            "pause_s": job.checkpoint.pause_s, "lag_s": job.checkpoint.lag_s,
            "load_s": job.checkpoint.load_s,
            "young_s": answer.formulas_s[0], "daly_s": answer.formulas_s[1],
            "curve": [{"every_steps": k, "goodput_share": s} for k, s in best.curve]
            if best else None,
        },
        "runs": [{"seed": answer.seed + i, "goodput_share": r.share, "failures": r.num_failures}
                 for i, r in enumerate(answer.all_runs)],
        "periods": [{"kind": p.kind, "start_s": p.start_s, "end_s": p.end_s, "why": p.why}
                    for p in run.periods],
        "facts": [{"name": n, "value": float(f), "kind": f.kind, "source": f.source}
                  for n, f in answer.facts()],
    }  # fmt: skip
