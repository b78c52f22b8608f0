"""One step of a cluster on the screen: parts, memory by stage, the pipeline over time; as JSON."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.pipeline import Drawn, timeline
from suiren.fleet.step import StepResult
from suiren.hw.cluster import Cluster
from suiren.units import GiB, show_time

#: Micro-batches and columns that a picture of the pipeline shows at most.
_SHOWN, _COLUMNS, _ROWS = 12, 96, 16
_MARK = {"F": "0123456789", "B": "abcdefghij", "W": "wwwwwwwwww"}


def render(found: StepResult, model: Model, layout: Layout, cluster: Cluster) -> RenderableType:
    """Everything about a step."""
    pieces: list[RenderableType] = [_head(found, model, layout, cluster), _parts(found),
                                    _memory(found, cluster)]  # fmt: skip
    if layout.pp > 1:
        pieces.append(_pipeline(found, layout))
    return Group(*pieces)


def _head(found: StepResult, model: Model, layout: Layout, cluster: Cluster) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    per_card = found.tokens_per_s / layout.ranks
    clock = f", clock {100 * found.clock:.0f} % by the power limit" if found.clock < 1 else ""
    for name, text in (
        ("step time", f"{show_time(found.step_s)}   {found.micro_batches} micro-batches of "
                      f"{layout.micro_batch} × {model.seq:,} tokens"),
        ("throughput", f"{found.tokens_per_s:,.0f} tokens/s, {per_card:,.0f} a card"),
        ("utilisation", f"MFU {100 * found.mfu:.1f} %, HFU {100 * found.hfu:.1f} %{clock}"),
        ("layout", f"tp {layout.tp} × cp {layout.cp} × dp {layout.dp} × pp {layout.pp} = "
                   f"{layout.ranks:,} ranks, vpp {layout.vpp}, ep {layout.ep}, "
                   f"{layout.schedule}, recompute {layout.recompute}"),
        ("peak memory", f"{found.peak_memory.total_bytes / GiB:.1f} GiB of "
                        f"{cluster.card.memory_bytes / GiB:.0f} GiB (stage "
                        f"{found.peak_memory.stage}){_fits(found, cluster)}"),
    ):  # fmt: skip
        table.add_row(Text(name, style="bold"), text)
    title = f"{model.name} on {cluster.title} (simulated)"
    return Panel(table, title=title, title_align="left")


def _fits(found: StepResult, cluster: Cluster) -> str:
    over = found.peak_memory.total_bytes - cluster.card.memory_bytes
    return f": does not fit, {over / GiB:.1f} GiB too much" if over > 0 else ""


def _parts(found: StepResult) -> Table:
    table = Table(title="where the step goes (the stage with most work)", title_justify="left",
                  box=None, padding=(0, 1))  # fmt: skip
    table.add_column("part")
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    for name, seconds in sorted(found.parts_s.items(), key=lambda item: -item[1]):
        if seconds > 1e-9:
            table.add_row(name, show_time(seconds), f"{100 * seconds / found.step_s:.1f} %")
    return table


def _memory(found: StepResult, cluster: Cluster) -> Table:
    """A column a stage, the first, a middle and the last; owners of nothing left out."""
    table = Table(title="memory by stage, GiB", title_justify="left", box=None, padding=(0, 1))
    table.add_column("stage")
    for stage in found.memory:
        table.add_column(str(stage.stage), justify="right")
    table.add_row("total", *(f"{stage.total_bytes / GiB:.1f}" for stage in found.memory))
    held = [stage.owners() for stage in found.memory]
    for name in held[0]:
        if any(owners[name] >= 0.05 * GiB for owners in held):
            table.add_row(name, *(f"{owners[name] / GiB:.1f}" for owners in held))
    table.add_row("in flight", *(f"{stage.in_flight:g}" for stage in found.memory))
    return table


def _pipeline(found: StepResult, layout: Layout) -> Text:
    """The first micro-batches over time, one line a stage: digits forward, letters backward."""
    few = min(found.micro_batches, _SHOWN)
    few -= few % layout.pp if layout.vpp > 1 and few > layout.pp else 0
    if layout.vpp > 1:
        few = max(few, layout.pp)
    passes = timeline(found.stages, few, layout.schedule)
    end = max(one.end_s for one in passes)
    lines = [f"the pipeline, {few} of {found.micro_batches} micro-batches in {show_time(end)}; "
             "digits forward, letters backward"]  # fmt: skip
    for stage in range(min(layout.pp, _ROWS)):
        lines.append(f"{stage:>3} {_line([p for p in passes if p.stage == stage], end)}")
    if layout.pp > _ROWS:
        lines.append(f"    and {layout.pp - _ROWS} more stages")
    return Text("\n".join(lines))


def _line(passes: list[Drawn], end_s: float) -> str:
    row = ["·"] * _COLUMNS
    for one in passes:
        first, last = (round(t / end_s * _COLUMNS) for t in (one.start_s, one.end_s))
        mark = _MARK[one.kind][one.micro_batch % 10]
        row[first:last] = [mark] * (min(last, _COLUMNS) - first)
    return "".join(row)


def document(
    found: StepResult, model: Model, layout: Layout, cluster: Cluster
) -> dict[str, object]:
    """The same as plain values, units in the keys."""
    return {
        "model": model.name, "cluster": cluster.name, "ranks": layout.ranks,
        "layout": {n: getattr(layout, n) for n in layout.__dataclass_fields__},
        "step_s": found.step_s, "parts_s": found.parts_s, "tokens_per_s": found.tokens_per_s,
        "mfu": found.mfu, "hfu": found.hfu, "clock": found.clock, "power_w": found.power_w,
        "energy_j": found.energy_j,
        "hidden_communication_s": found.hidden_s,
        "memory": [
            {"stage": m.stage, "total_bytes": m.total_bytes, "in_flight": m.in_flight,
             "owners_bytes": m.owners()} for m in found.memory
        ],
        "fits": found.peak_memory.total_bytes <= cluster.card.memory_bytes,
        "assumed": found.assumed,
    }  # fmt: skip
