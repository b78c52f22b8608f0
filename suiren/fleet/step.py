"""One training step of a cluster from a layout: distinct pieces priced once, stages added up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from suiren.fleet.block import layer
from suiren.fleet.collective import time_collective
from suiren.fleet.cost import NOTHING, Cost, clock_of, cost_of
from suiren.fleet.ends import embedding, head, optimizer
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import StageMemory, layers_before, memory_of, weights_of
from suiren.fleet.model import Model
from suiren.fleet.part import Part
from suiren.fleet.pipeline import Stages, pipeline_s
from suiren.fleet.share import Share, share_of
from suiren.hw.cluster import Cluster

#: Bytes after which a framework starts to reduce what is ready.
BUCKET_BYTES = 160e6
_PEAKS = {"fp32": "fp32", "tf32": "tf32", "fp16": "fp16", "bf16": "bf16", "fp8": "fp8"}


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
    """Of a card of the stage with most work."""
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
    ranks = (layout.dp if share.ep > 1 or share.cp > 1 else 0,)
    return _pieces(share, id(cluster), ranks, _Same(cluster, layout))


@lru_cache(maxsize=4096)
def _pieces(share: Share, cluster_id: int, ranks: tuple[int, ...], same: _Same) -> Pieces:
    cluster, layout = same.what
    assert isinstance(cluster, Cluster) and isinstance(layout, Layout)
    host = float(share.framework.host_op_s)
    model = share.model

    def both(part: Part) -> tuple[Cost, Cost]:
        ways = part.forward, part.backward
        return cost_of(ways[0], cluster, layout, host), cost_of(ways[1], cluster, layout, host)

    nothing = (NOTHING, NOTHING)
    has_dense = not model.experts or model.dense_layers > 0
    return Pieces(
        both(layer(share)) if has_dense else nothing,
        both(layer(share, True)) if model.experts else nothing,
        both(layer(share, False, True)) if model.decoder_layers else nothing,
        both(embedding(share)), both(head(share)),
    )  # fmt: skip


def train_step(
    model: Model, layout: Layout, cluster: Cluster, framework: Framework = MEGATRON_CORE
) -> StepResult:
    """The step of a layout on a cluster.

    Raises BadLayout for a layout that no job could run.
    """
    layout.check(model, cluster.num_ranks)
    if layout.zero > 1:
        raise BadLayout(f"zero {layout.zero} gathers weights layer by layer: that is a sharded "
                        "step (fleet/sharded.py); this one takes zero 0 or 1")  # fmt: skip
    if not cluster.card.can_time:
        raise BadLayout(f"no peak of {cluster.card.title} was ever published: nothing can be timed")
    share = share_of(model, layout, framework)
    pieces = pieces_of(share, cluster, layout)
    chunks = _chunks(model, layout, pieces)
    clock, power_w = _clock(chunks, cluster, layout)
    if clock < 1.0:
        chunks = [[(f.at_clock(clock), b.at_clock(clock)) for f, b in stage] for stage in chunks]
    send_s = _send_s(layout, share, cluster)
    stages = _stages(chunks, layout, framework, send_s)
    m = layout.micro_batches
    forward_to_end_s = pipeline_s(stages, m, layout.schedule)
    most = max(range(layout.pp), key=stages.work_s)
    after = _after(model, layout, framework, cluster, stages, most)
    total = sum((f + b for f, b in chunks[most]), NOTHING)
    parts = _parts(total, m, stages, most, chunks[most], forward_to_end_s, layout, after)
    step_s = forward_to_end_s + sum(after.values())
    ranks = layout.ranks
    peak = cluster.card.peak_flop_per_s(_PEAKS[layout.precision]) or cluster.card.peak_flop_per_s(
        "bf16"
    )
    useful = model.flop_per_sample() * layout.global_batch
    done = sum(f.flop + b.flop for stage in chunks for f, b in stage) * m
    return StepResult(
        step_s, parts, stages, m,
        tuple(memory_of(model, layout, framework, s)
              for s in sorted({0, layout.pp // 2, layout.pp - 1})),
        clock, power_w, useful / (step_s * ranks * peak) if peak else 0.0,
        done / (step_s * layout.pp * peak) if peak else 0.0,
        layout.global_batch * model.seq / step_s, total.hidden_s * m, _assumed(cluster, framework),
    )  # fmt: skip


Chunks = list[tuple[Cost, Cost]]


def _chunks(model: Model, layout: Layout, pieces: Pieces) -> list[Chunks]:
    """Costs of every stage's chunks; stages that hold the same are added up once."""
    last = layout.pp - 1, layout.vpp - 1
    known: dict[tuple[int, int, int, bool, bool], tuple[Cost, Cost]] = {}
    found: list[Chunks] = []
    for stage in range(layout.pp):
        held: Chunks = []
        for chunk, (first, count) in enumerate(layers_before(model, layout, stage)):
            dense = max(0, min(first + count, model.dense_layers) - first)
            mixed = count - dense if model.experts else 0
            cross = max(0, first + count - max(first, model.layers - model.decoder_layers))
            key = (count - mixed - cross, mixed, cross, (stage, chunk) == (0, 0),
                   (stage, chunk) == last)  # fmt: skip
            if key not in known:
                known[key] = _chunk(pieces, *key)
            held.append(known[key])
        found.append(held)
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


def _clock(chunks: list[Chunks], cluster: Cluster, layout: Layout) -> tuple[float, float]:
    """The clock of the stage that draws most."""
    found = []
    m, p, v = layout.micro_batches, layout.pp, layout.vpp
    for stage in chunks:
        cost = sum((f + b for f, b in stage), NOTHING)
        busy = cost.seconds * (1 + (p - 1) / (v * m))
        found.append(clock_of(cost, busy, cluster.card))
    lowest = min(found, key=lambda c: c.share)
    return lowest.share, max(c.power_w for c in found)


def _send_s(layout: Layout, share: Share, cluster: Cluster) -> float:
    """A message between stages: each tensor parallel rank sends its part, neighbours gather."""
    if layout.pp == 1:
        return 0.0
    cards = cluster.cards_per_node
    whole = share.stream_bytes
    part = time_collective(cluster, "send", whole / layout.tp, layout.place("pp", cards)).seconds
    if layout.tp == 1 or share.sequence_parallel:
        return part
    tp = layout.place("tp", cards)
    return part + time_collective(cluster, "all_gather", whole, tp).seconds


def _stages(chunks: list[Chunks], layout: Layout, framework: Framework, send_s: float) -> Stages:
    """Seconds of every pass; with one stage the host runs ahead from forward into backward."""
    last = layout.pp - 1
    if layout.pp == 1 and layout.vpp == 1:
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
                  1 / 3 if layout.recompute == "full" else 0.5)  # fmt: skip


def _after(
    model: Model, layout: Layout, framework: Framework, cluster: Cluster, stages: Stages, most: int
) -> dict[str, float]:
    """What follows the last backward pass: gradients, the tied embedding, the optimizer."""
    if framework.accumulate == "frozen":
        return {"gradients": 0.0, "tied embedding": 0.0, "optimizer": 0.0}
    cards = cluster.cards_per_node
    weights = weights_of(model, layout, 0 if layout.pp == 1 else most)
    wide = layout.precision in ("fp32", "tf32")
    item = 4 if wide else 2
    grad_item = 4 if wide or framework.fp32_gradients else item
    replicas = layout.dp * layout.cp
    reduce_s = gather_s = 0.0
    groups = [("dpcp", weights.dense, replicas)]
    if weights.experts and layout.ep > 1:
        groups.append(("edp", weights.experts, replicas * layout.tp // layout.ep))
    elif weights.experts:
        groups.append(("dpcp", weights.experts, replicas))
    shared = 0.0
    for group, count, members in groups:
        shared += count / max(1, members)
        if members <= 1:
            continue
        place = layout.place(group, cards)
        op = "reduce_scatter" if layout.zero else "all_reduce"
        reduce_s += time_collective(cluster, op, grad_item * count, place).seconds
        if layout.zero:
            gather_s += time_collective(cluster, "all_gather", item * count, place).seconds
    if layout.overlap_gradients:
        buckets = max(1.0, grad_item * weights.all / BUCKET_BYTES)
        room = sum(stages.backward_s[most]), sum(stages.forward_s[most])
        reduce_s -= min(reduce_s * (1 - 1 / buckets), room[0])
        gather_s -= min(gather_s * (1 - 1 / buckets), room[1])
    tied_s = 0.0
    if model.tied and layout.pp > 1:
        size = grad_item * model.embedding_params / layout.tp
        tied_s = time_collective(
            cluster, "all_reduce", size, layout.place("embedding", cards)
        ).seconds
    dtype = "f32" if wide else "bf16"
    tasks = optimizer(framework, shared if layout.zero else weights.all, dtype)
    step = cost_of(tasks, cluster, layout, float(framework.host_op_s))
    return {"gradients": reduce_s + gather_s, "tied embedding": tied_s, "optimizer": step.seconds}


def _parts(
    total: Cost, m: int, stages: Stages, most: int, chunks: Chunks, all_s: float, layout: Layout,
    after: dict[str, float],
) -> dict[str, float]:  # fmt: skip
    device_s = total.device_s
    own_s = sum(f.seconds + b.seconds for f, b in chunks)
    if layout.pp == 1:
        own_s = stages.work_s(most)
    return {
        "matrix": m * total.matrix_s, "vector": m * total.vector_s, "memory": m * total.memory_s,
        "launch": m * total.launch_s, "tensor parallel": m * total.tp_s,
        "context parallel": m * total.cp_s, "expert parallel": m * total.ep_s,
        "host": m * (own_s - device_s), "sends": m * (stages.work_s(most) - own_s),
        "bubble": all_s - m * stages.work_s(most), **after,
    }  # fmt: skip


def _assumed(cluster: Cluster, framework: Framework) -> dict[str, str]:
    facts = {f"card.{n}": f for n, f in cluster.card.assumed().items()}
    facts["framework.host_op_s"] = framework.host_op_s
    return {n: f.source for n, f in facts.items() if f.kind == "assumed"}


def with_schedule(layout: Layout) -> Layout:
    """The layout with the schedule that its degrees ask for: chunks are interleaved."""
    return replace(layout, schedule="interleaved") if layout.vpp > 1 else layout
