"""One training step of a cluster from a layout: distinct pieces priced once, stages added up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf

from suiren.fleet.after import after, after_stage, send_s
from suiren.fleet.block import layer
from suiren.fleet.content import Content, held_by
from suiren.fleet.cost import NOTHING, Cost, behind_kernels, clock_of, cost_of
from suiren.fleet.ends import embedding, ending
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import StageMemory, memory_of
from suiren.fleet.model import Model
from suiren.fleet.offload import host_facts
from suiren.fleet.part import Part
from suiren.fleet.pipeline import Stages, pipeline_s
from suiren.fleet.share import Share, again_of, kept_whole, share_of
from suiren.fleet.slower import slower
from suiren.hw.cluster import Cluster
from suiren.mapper.energy import energy_j


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step. Seconds; the parts are those of the stage with most work and sum to the step."""

    step_s: float
    parts_s: dict[str, float]
    stages: Stages
    micro_batches: int
    memory: tuple[StageMemory, ...]
    """Of the distinct stages: first, middle, last."""
    clock: float
    """Share of the full clock that the power limit allows."""
    power_w: float
    """Of a card of the stage that draws most."""
    energy_j: float
    """Of all cards, a step: what each stage's kernels take, and idle power for as long as it lasts.
    What updates weights on the host is none of it."""
    mfu: float
    hfu: float
    tokens_per_s: float
    hidden_s: float
    """Collectives of that stage that ran beside its kernels."""
    assumed: dict[str, str]
    """Facts nobody published that the answer rests on."""

    @property
    def peak_memory(self) -> StageMemory:
        """The stage that needs most."""
        return max(self.memory, key=lambda m: m.total_bytes)


class _Same:
    """Something that does not take part in a lookup."""

    def __init__(self, *what: object) -> None:
        self.what = what

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Costs of the distinct parts of a share: (forward, backward) each."""

    dense: tuple[Cost, Cost]
    mixed: tuple[Cost, Cost]
    cross: tuple[Cost, Cost]
    embedding: tuple[Cost, Cost]
    head: tuple[Cost, Cost]


def pieces_of(share: Share, cluster: Cluster, layout: Layout) -> Pieces:
    """The pieces of a share on a cluster, remembered; `layout` places its groups."""
    ranks = (layout.dp if share.ep > 1 or share.cp > 1 else 0, layout.recompute_every)
    return _pieces(share, id(cluster), ranks, _Same(cluster, layout))


@lru_cache(maxsize=4096)
def _pieces(share: Share, cluster_id: int, ranks: tuple[int, ...], same: _Same) -> Pieces:
    cluster, layout = same.what
    assert isinstance(cluster, Cluster) and isinstance(layout, Layout)
    framework, model = share.framework, share.model
    host = 0.0 if "all" in framework.graphs else float(framework.host_op_s)

    def both(part: Part) -> tuple[Cost, Cost]:
        ways = zip((part.forward, part.backward), part.more_issued, strict=True)
        found = [cost_of(tasks, cluster, layout, host, more)
                 + slower(tasks, cluster, layout, framework) for tasks, more in ways]
        if framework.overlaps_experts:
            found = [behind_kernels(cost, cluster.card) for cost in found]
        return found[0], found[1]

    nothing = (NOTHING, NOTHING)
    first, last = both(embedding(share)), both(ending(share))
    if framework.waits:
        first, last = (first[0], first[1].last()), (last[0].last(), last[1])
    every = layout.recompute_every if share.recompute == "full" else 1

    def layers(experts: bool) -> tuple[Cost, Cost]:
        found = both(layer(share, experts))
        if every == 1:
            return found
        part = again_of(model.layers, every) / model.layers
        kept = both(layer(kept_whole(share), experts))
        one, other = (a.times(part) + b.times(1 - part) for a, b in zip(found, kept, strict=True))
        return one, other

    has_dense = not model.experts or model.dense_layers > 0
    return Pieces(
        layers(False) if has_dense else nothing,
        layers(True) if model.experts else nothing,
        both(layer(share, False, True)) if model.decoder_layers else nothing,
        first, last,
    )  # fmt: skip


def train_step(
    model: Model, layout: Layout, cluster: Cluster, framework: Framework = MEGATRON_CORE,
    cap_w: float = inf,
) -> StepResult:  # fmt: skip
    """The step of a layout on a cluster; `cap_w` holds every card below its own power limit.

    Raises BadLayout for a layout that no job could run.
    """
    layout.check(model, cluster.num_ranks)
    if layout.zero > 2:
        raise BadLayout(f"zero {layout.zero} gathers weights layer by layer: that is a sharded "
                        "step (fleet/sharded.py); this one takes zero 0, 1 or 2")  # fmt: skip
    if not cluster.card.can_time:
        raise BadLayout(f"no peak of {cluster.card.title} was ever published: nothing can be timed")
    share = share_of(model, layout, framework)
    pieces = pieces_of(share, cluster, layout)
    chunks = _chunks(model, layout, pieces)
    clock, power_w = _clock(chunks, cluster, layout, cap_w)
    if clock < 1.0:
        floor = float(cluster.card.pace.voltage_floor)
        chunks = [[(f.at_clock(clock, floor), b.at_clock(clock, floor)) for f, b in stage]
                  for stage in chunks]  # fmt: skip
    message_s = send_s(layout, share, cluster)
    stages = _stages(chunks, layout, framework, message_s)
    m = layout.micro_batches
    forward_to_end_s = pipeline_s(stages, m, layout.schedule)
    most = max(range(layout.pp), key=stages.work_s)
    ends = after_stage(model, layout, framework, cluster, 0 if layout.pp == 1 else most)
    rest = after(layout, ends, stages, most)
    total = sum((f + b for f, b in chunks[most]), NOTHING)
    parts = _parts(total, m, stages, most, chunks[most], forward_to_end_s, layout, rest)
    step_s = forward_to_end_s + sum(rest.values())
    ranks = layout.ranks
    peak = cluster.card.peak_flop_per_s(layout.precision) or cluster.card.peak_flop_per_s(
        "bf16"
    )
    useful = model.flop_per_sample() * framework.needed_share * layout.global_batch
    done = sum(f.flop + b.flop for stage in chunks for f, b in stage) * m
    passes_j = m * sum(f.dynamic_j + b.dynamic_j for stage in chunks for f, b in stage)
    dynamic_j = ranks / layout.pp * (passes_j + ends.optimizer_j)
    return StepResult(
        step_s, parts, stages, m,
        tuple(memory_of(model, layout, framework, s)
              for s in sorted({0, layout.pp // 2, layout.pp - 1})),
        clock, power_w, energy_j(dynamic_j, ranks * step_s, cluster.card),
        useful / (step_s * ranks * peak) if peak else 0.0,
        done / (step_s * layout.pp * peak) if peak else 0.0,
        layout.global_batch * model.seq / step_s, total.hidden_s * m,
        _assumed(cluster, framework, layout),
    )  # fmt: skip


Chunks = list[tuple[Cost, Cost]]


def _chunks(model: Model, layout: Layout, pieces: Pieces) -> list[Chunks]:
    """Costs of every stage's chunks; chunks that hold the same are added up once."""
    known: dict[Content, tuple[Cost, Cost]] = {}
    found: list[Chunks] = []
    for stage in held_by(model, layout):
        for one in stage:
            if one not in known:
                known[one] = _chunk(pieces, *one)
        found.append([known[one] for one in stage])
    return found


def _chunk(
    pieces: Pieces, plain: int, mixed: int, cross: int, begins: bool, ends: bool
) -> tuple[Cost, Cost]:
    def way(n: int) -> Cost:
        parts = [pieces.dense[n].times(plain)]
        parts += [pieces.mixed[n].times(mixed)] if mixed else []
        parts += [pieces.cross[n].times(cross)] if cross else []
        parts += [pieces.embedding[n]] if begins else []
        parts += [pieces.head[n]] if ends else []
        return sum(parts, NOTHING)

    return way(0), way(1)


def _clock(
    chunks: list[Chunks], cluster: Cluster, layout: Layout, cap_w: float
) -> tuple[float, float]:
    """The clock of the stage that draws most.

    A zero-bubble schedule fills bubbles with owed gradients: Qi et al. 2024, ZB-H1, have
    (p - 1)(F + B - W) of bubble where 1F1B has (p - 1)(F + B + W).
    """
    found = []
    m, p, v = layout.micro_batches, layout.pp, layout.vpp
    moved = _weight_share(layout) if layout.schedule == "zero-bubble" else 0.0
    for stage in chunks:
        cost = sum((f + b for f, b in stage), NOTHING)
        behind = sum((b for _, b in stage), NOTHING).seconds
        filled = 2 * moved * behind
        busy = cost.seconds + (cost.seconds - filled) * (p - 1) / (v * m)
        found.append(clock_of(cost, busy, cluster.card, cap_w))
    lowest = min(found, key=lambda c: c.share)
    return lowest.share, max(c.power_w for c in found)


def _stages(chunks: list[Chunks], layout: Layout, framework: Framework, send_s: float) -> Stages:
    """Seconds of every pass.

    With one stage the host runs ahead from forward into backward, unless it waits between them.
    """
    last = layout.pp - 1
    if layout.pp == 1 and layout.vpp == 1 and not framework.waits:
        forward, backward = chunks[0][0]
        whole = (forward + backward).seconds
        part = forward.device_s / max(1e-12, forward.device_s + backward.device_s)
        return Stages(((whole * part,),), ((whole * (1 - part),),))
    blocked = send_s if framework.blocking_sends else 0.0
    end = layout.vpp - 1
    forward_s = tuple(
        tuple(f.seconds + blocked * (s < last or c < end) for c, (f, _) in enumerate(stage))
        for s, stage in enumerate(chunks)
    )
    backward_s = tuple(
        tuple(b.seconds + blocked * (s > 0 or c > 0) for c, (_, b) in enumerate(stage))
        for s, stage in enumerate(chunks)
    )
    return Stages(forward_s, backward_s, 0.0 if blocked else send_s,
                  _weight_share(layout))  # fmt: skip


def _weight_share(layout: Layout) -> float:
    """Part of a backward pass that only weights wait for."""
    return 1 / 3 if layout.recompute == "full" else 0.5


def _parts(
    total: Cost, m: int, stages: Stages, most: int, chunks: Chunks, all_s: float, layout: Layout,
    rest: dict[str, float],
) -> dict[str, float]:  # fmt: skip
    device_s = total.device_s
    own_s = sum(f.seconds + b.seconds for f, b in chunks)
    if layout.pp == 1:
        own_s = stages.work_s(most)
    return {
        "matrix": m * total.matrix_s, "vector": m * total.vector_s, "memory": m * total.memory_s,
        "launch": m * total.launch_s, "tensor parallel": m * total.tp_s,
        "context parallel": m * total.cp_s, "expert parallel": m * total.ep_s,
        "host": m * (own_s - device_s),
        "sends": max(0.0, m * (stages.work_s(most) - own_s)),
        "bubble": all_s - m * stages.work_s(most), **rest,
    }  # fmt: skip


def _assumed(cluster: Cluster, framework: Framework, layout: Layout) -> dict[str, str]:
    facts = {f"card.{n}": f for n, f in cluster.card.assumed().items()}
    if layout.offload == "optimizer":
        facts |= host_facts(cluster)
    facts["framework.host_op_s"] = framework.host_op_s
    found = {n: f.source for n, f in facts.items() if f.kind == "assumed"}
    return {**found, **framework.told()}


def with_schedule(layout: Layout) -> Layout:
    """The layout with the schedule that its degrees ask for: chunks are interleaved."""
    return replace(layout, schedule="interleaved") if layout.vpp > 1 else layout
