"""One step of training with sharded weights: every block is gathered, used and freed in its turn.

Two queues run beside each other: kernels, and collectives in the order the host issues them. A
block's gather runs under the block before it, a gradient's scatter under the block after it; what
neither hides is exposed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from suiren.fleet.block import layer
from suiren.fleet.collective import time_collective
from suiren.fleet.cost import COLLECTIVE_CORES, Cost, clock_of, cost_of, lost_to_cores_s
from suiren.fleet.ends import embedding, head
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import StageMemory
from suiren.fleet.model import Model
from suiren.fleet.offload import host_facts, host_optimizer_s
from suiren.fleet.part import Task
from suiren.fleet.sharded_framework import Sharded, adam, flat_gradient, metrics
from suiren.fleet.sharded_memory import GATHERED_AHEAD, sharded_memory, trained_of
from suiren.fleet.share import Share, again_of, kept_whole, share_of
from suiren.fleet.slower import slower
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact, assumed
from suiren.mapper.energy import energy_j


@dataclass(frozen=True, slots=True)
class ShardedStep:
    """One step. Seconds; the parts sum to the step."""

    step_s: float
    parts_s: dict[str, float]
    micro_batches: int
    memory: StageMemory
    clock: float
    """Share of the full clock that the power limit allows."""
    power_w: float
    """Of a card while it computes."""
    energy_j: float
    """Of all cards, a step; what updates weights on the host is none of it."""
    mfu: float
    tokens_per_s: float
    hidden_s: float
    """Collectives that ran beside kernels."""
    assumed: dict[str, str]


@dataclass(frozen=True, slots=True)
class Unit:
    """What is gathered and freed together."""

    forward: Cost
    backward: Cost
    params: float

    def mixed(self, other: Unit, part: float) -> Unit:
        """The average of a stack of which this is `part` and `other` the rest."""
        forward = self.forward.times(part) + other.forward.times(1 - part)
        backward = self.backward.times(part) + other.backward.times(1 - part)
        return Unit(forward, backward, self.params)

    def at_clock(self, clock: float, floor: float) -> Unit:
        """The same with the engines at a share of their clock: `Cost.at_clock`."""
        there, back = (way.at_clock(clock, floor) for way in (self.forward, self.backward))
        return Unit(there, back, self.params)


def sharded_step(
    model: Model, layout: Layout, cluster: Cluster, how: Sharded, cap_w: float = inf
) -> ShardedStep:
    """The step of a layout with zero 2 (weights stay from forward to backward) or 3.

    `cap_w` holds every card below its own power limit.

    Raises BadLayout for a layout that no job could run or that is not sharded.
    """
    if layout.zero < 2 or layout.pp > 1:
        raise BadLayout(f"impossible layout: sharded weights need zero 2 or 3 and one stage, "
                        f"not zero {layout.zero} and pp {layout.pp}")  # fmt: skip
    layout.check(model, cluster.num_ranks)
    share = share_of(model, layout, how)
    block, root = units_of(share, cluster, layout, how)
    full = _work(block, root, model.layers)
    clock = clock_of(full, full.device_s, cluster.card, cap_w)
    floor = float(cluster.card.pace.voltage_floor)
    block, root = block.at_clock(clock.share, floor), root.at_clock(clock.share, floor)
    work = _work(block, root, model.layers)
    run = _micro_batch(block, root, model.layers, layout, wire_of(cluster, layout, how))
    beside_s = lost_to_cores_s(run.hidden_s, cluster.card)
    device_s = run.end_s + beside_s
    saved_s = 0.0
    if how.sums_whole and layout.micro_batches > 1:
        alone = replace(wire_of(cluster, layout, how), reduce_bytes=0)
        first = _micro_batch(block, root, model.layers, layout, alone)
        first_s = first.end_s + lost_to_cores_s(first.hidden_s, cluster.card)
        saved_s = (layout.micro_batches - 1) * (device_s - first_s)
    # the host runs ahead over a whole micro-batch: only the longer of both counts
    host_s = work.host_s + model.layers * how.host_unit_ops * float(how.host_op_s)
    one_s, m = max(device_s, host_s), layout.micro_batches
    shard = trained_of(model, layout, how)
    optimizer_s, optimizer_j = optimizer_of(layout, shard, cluster, how)
    saved_s = min(saved_s, (m - 1) * max(0.0, one_s - host_s))
    step_s = m * one_s - saved_s + optimizer_s
    parts = {
        "matrix": m * work.matrix_s, "vector": m * work.vector_s, "memory": m * work.memory_s,
        "launch": m * work.launch_s, "tensor parallel": m * work.tp_s,
        "gather and scatter": m * (run.end_s - work.device_s) - saved_s,
        "beside collectives": m * beside_s,
        "host": m * (one_s - device_s), "optimizer": optimizer_s,
    }  # fmt: skip
    peak = cluster.card.peak_flop_per_s(layout.precision) or cluster.card.peak_flop_per_s("bf16")
    useful = model.flop_per_sample() * how.needed_share * layout.global_batch
    dynamic_j = layout.ranks * (m * work.dynamic_j + optimizer_j)
    return ShardedStep(
        step_s, parts, m, sharded_memory(model, layout, how, block.params),
        clock.share, clock.power_w,
        energy_j(dynamic_j, layout.ranks * step_s, cluster.card),
        useful / (step_s * layout.ranks * peak) if peak else 0.0,
        layout.global_batch * model.seq / step_s, m * run.hidden_s, _assumed(cluster, how, layout),
    )  # fmt: skip


def optimizer_of(
    layout: Layout, shard: float, cluster: Cluster, how: Sharded
) -> tuple[float, float]:
    """Seconds in which a rank's `shard` of the weights is updated, and joules of its card."""
    if layout.offload == "optimizer":
        return host_optimizer_s(shard, 4, cluster, layout.ranks), 0.0
    found = cost_of(adam(how, shard), cluster, layout, float(how.host_op_s))
    return found.seconds, found.dynamic_j


def _work(block: Unit, root: Unit, layers: int) -> Cost:
    return (block.forward + block.backward).times(layers) + root.forward + root.backward


def units_of(share: Share, cluster: Cluster, layout: Layout, how: Sharded) -> tuple[Unit, Unit]:
    """A block, and what stands around the blocks."""
    model = share.model

    def unit(forward: tuple[Task, ...], backward: tuple[Task, ...], params: float) -> Unit:
        flat = flat_gradient(share.ops, how, params / layout.tp)
        return Unit(_cost(forward, cluster, layout, how),
                    _cost((*backward, *flat), cluster, layout, how), params)  # fmt: skip

    part, first, last = layer(share, model.experts > 0), embedding(share), head(share)
    block = unit(part.forward, part.backward, float(model.layer_params()))
    if layout.recompute == "full" and layout.recompute_every > 1:
        kept = layer(kept_whole(share), model.experts > 0)
        part_again = again_of(model.layers, layout.recompute_every) / model.layers
        block = block.mixed(unit(kept.forward, kept.backward, block.params), part_again)
    around = float(model.params - model.layers * model.layer_params())
    root = unit((*first.forward, *last.forward, *metrics(share, how)),
                (*last.backward, *first.backward), around)  # fmt: skip
    return block, root


def _cost(tasks: tuple[Task, ...], cluster: Cluster, layout: Layout, how: Sharded) -> Cost:
    """The tasks' cost, attention at the pace of the framework's kernel."""
    total = cost_of(tasks, cluster, layout, float(how.host_op_s))
    return total + slower(tasks, cluster, layout, how)


#: Time of a hop between neighbours of a torus, endpoints included.
HOP_S: Fact = assumed(1e-6, "a chip-to-chip link and the two ends that forward a chunk")


def torus_s(cluster: Cluster, size_bytes: float, ranks: int) -> float:
    """A gather or a scatter among all ranks of a torus: every port carries a part of it.

    Rings run along every side and both ways at once, so a card receives at all its ports.
    """
    link = cluster.card.link
    if link is None:
        raise BadLayout(f"{cluster.card.title} has no links, a torus needs them")
    hops = sum(side // 2 for side in cluster.torus)
    return size_bytes * (ranks - 1) / ranks / (float(link.bytes_per_s) / 2) + hops * float(HOP_S)


@dataclass(frozen=True, slots=True)
class Wire:
    """Seconds to gather weights and to scatter gradients, a parameter's worth of bytes each."""

    cluster: Cluster
    layout: Layout
    reduce_bytes: int
    gather_bytes: int

    def gather_s(self, params: float) -> float:
        """All weights of a unit to every rank."""
        return self._s("all_gather", params * self.gather_bytes)

    def scatter_s(self, params: float) -> float:
        """All gradients of a unit, summed, a shard to every rank."""
        size_bytes = params * self.reduce_bytes
        return self._s("reduce_scatter", size_bytes) + self._over_copies_s(size_bytes)

    def _s(self, op: str, size_bytes: float) -> float:
        if self.layout.shards == 1 or not size_bytes:
            return 0.0
        if self.cluster.torus:
            return torus_s(self.cluster, size_bytes / self.layout.tp, self.layout.shards)
        place = self.layout.place("shards", self.cluster.cards_per_node)
        return time_collective(self.cluster, op, size_bytes / self.layout.tp, place).seconds

    def _over_copies_s(self, size_bytes: float) -> float:
        """A rank's sum summed again over the ranks that hold the same shard."""
        if self.layout.copies == 1 or not size_bytes:
            return 0.0
        place = self.layout.place("copies", self.cluster.cards_per_node)
        one_bytes = size_bytes / self.layout.tp / self.layout.shards
        return time_collective(self.cluster, "all_reduce", one_bytes, place).seconds


def wire_of(cluster: Cluster, layout: Layout, how: Sharded) -> Wire:
    """What moves weights and gradients of a layout."""
    wide = layout.precision in ("fp32", "tf32")
    reduce_bytes = 4 if wide or how.reduces_fp32 else 2
    gather_bytes = 4 if wide else 1 if layout.precision == "fp8" and how.gathers_fp8 else 2
    # adapters' gradients are too small to matter, frozen weights have none
    return Wire(cluster, layout, 0 if how.accumulate == "frozen" else reduce_bytes, gather_bytes)


@dataclass(frozen=True, slots=True)
class Run:
    """A micro-batch: when it ends, and how long collectives ran beside kernels."""

    end_s: float
    hidden_s: float


def _micro_batch(block: Unit, root: Unit, layers: int, layout: Layout, wire: Wire) -> Run:
    """Both queues from the first gather to the last scatter."""
    gather, scatter = wire.gather_s(block.params), wire.scatter_s(block.params)
    ends, first = wire.gather_s(root.params), wire.scatter_s(root.params)
    link = ends
    kernels, done = link, [link]
    # the root's work forward: the embedding is small, the head comes last
    for n in range(layers):
        free = done[n - GATHERED_AHEAD + 1] if n >= GATHERED_AHEAD else 0.0
        link = max(link, free) + gather
        kernels = max(kernels, link) + block.forward.device_s
        done.append(kernels)
    kernels += root.forward.device_s + root.backward.device_s
    done = [kernels]
    again = gather if layout.zero == 3 else 0.0
    for n in range(layers):
        free = done[n - GATHERED_AHEAD + 1] if n >= GATHERED_AHEAD else 0.0
        link = max(link, free if again else 0.0) + again
        # the scatter of the block before was issued after this gather
        if n:
            arrived, link = link, max(link, done[n]) + scatter
        else:
            arrived = link
        kernels = max(kernels, arrived) + block.backward.device_s
        done.append(kernels)
    link = max(link, kernels) + scatter
    link = max(link, kernels) + first
    end = max(kernels, link)
    moved = ends + first + layers * (gather + again + scatter)
    work = layers * (block.forward + block.backward).device_s
    work += root.forward.device_s + root.backward.device_s
    return Run(end, max(0.0, moved - (end - work)))


def _assumed(cluster: Cluster, how: Sharded, layout: Layout) -> dict[str, str]:
    facts = {f"card.{n}": f for n, f in cluster.card.assumed().items()}
    if layout.offload == "optimizer":
        facts |= host_facts(cluster)
    facts["framework.host_op_s"] = how.host_op_s
    if cluster.card.chip.is_gpu:
        facts["cores that a collective keeps"] = COLLECTIVE_CORES
    found = {n: f.source for n, f in facts.items() if f.kind == "assumed"}
    return {**found, **how.told()}
