"""What a step does besides its passes: messages between stages, gradients, the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.collective import time_collective
from suiren.fleet.cost import cost_of
from suiren.fleet.ends import optimizer
from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.memory import adapters_of
from suiren.fleet.model import Model
from suiren.fleet.offload import host_optimizer_s
from suiren.fleet.pipeline import Stages
from suiren.fleet.share import Share
from suiren.fleet.weights import Weights, weights_of
from suiren.hw.cluster import Cluster

#: Bytes after which a framework starts to reduce what is ready.
BUCKET_BYTES = 160e6


def send_s(layout: Layout, share: Share, cluster: Cluster) -> float:
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


@dataclass(frozen=True, slots=True)
class After:
    """What follows the last backward pass where nothing runs beside it; seconds."""

    reduce_s: float
    """Gradients summed."""
    gather_s: float
    """Weights passed on where ranks share the optimizer's states."""
    buckets: float
    """Parts in which a framework reduces: the last one is never hidden."""
    tied_s: float
    optimizer_s: float
    optimizer_j: float
    """Energy of the cards' optimizers beyond idle power: of all stages, a rank of each."""

    def hidden_s(self, backward_s: float, forward_s: float) -> tuple[float, float]:
        """What of both hides behind the last backward and the next forward pass of a stage."""
        part = 1 - 1 / self.buckets
        return min(self.reduce_s * part, backward_s), min(self.gather_s * part, forward_s)


def after(
    layout: Layout, found: After, stages: Stages, most: int
) -> dict[str, float]:
    """What follows the last backward pass: gradients, the tied embedding, the optimizer.

    `found`: the same of the stage with `most` work before anything of it hides.
    """
    gradients_s = found.reduce_s + found.gather_s
    if layout.overlap_gradients:
        times = layout.micro_batches if layout.zero == 2 else 1
        backward_s = times * sum(stages.backward_s[most])
        hidden = found.hidden_s(backward_s, sum(stages.forward_s[most]))
        gradients_s = (found.reduce_s - hidden[0]) + (found.gather_s - hidden[1])
    return {"gradients": gradients_s, "tied embedding": found.tied_s,
            "optimizer": found.optimizer_s}  # fmt: skip


def after_stage(
    model: Model, layout: Layout, framework: Framework, cluster: Cluster, stage: int
) -> After:
    """The same before anything of it hides, for the weights of a stage."""
    weights = weights_of(model, layout, stage)
    if framework.accumulate == "frozen":
        weights = Weights(adapters_of(model, layout, framework, stage), 0.0)
        if not weights.all:
            return After(0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    cards = cluster.cards_per_node
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
        whole = not layout.zero or (framework.reduces_whole and layout.zero == 1)
        op = "all_reduce" if whole else "reduce_scatter"
        # shares of gradients are summed with every micro-batch
        times = layout.micro_batches if layout.zero == 2 else 1
        reduce_s += times * time_collective(cluster, op, grad_item * count, place).seconds
        if layout.zero:
            gather_s += time_collective(cluster, "all_gather", item * count, place).seconds
    tied_s = 0.0
    if model.tied and layout.pp > 1 and framework.accumulate != "frozen":
        size = grad_item * model.embedding_params / layout.tp
        tied_s = time_collective(
            cluster, "all_reduce", size, layout.place("embedding", cards)
        ).seconds
    count = shared if layout.zero else weights.all
    optimizer_j = 0.0
    if layout.offload == "optimizer":
        optimizer_s = host_optimizer_s(count, grad_item, cluster, layout.ranks)
    else:
        tasks = optimizer(framework, count, "f32" if wide else "bf16")
        cost = cost_of(tasks, cluster, layout, float(framework.host_op_s))
        optimizer_s = cost.seconds
        optimizer_j = cost.dynamic_j / count * _updated(model, layout, framework)
    buckets = max(1.0, grad_item * weights.all / BUCKET_BYTES)
    return After(reduce_s, gather_s, buckets, tied_s, optimizer_s, optimizer_j)


def _updated(model: Model, layout: Layout, framework: Framework) -> float:
    """Weights that the optimizers of all stages update, a rank of each."""
    replicas = layout.dp * layout.cp
    if framework.accumulate == "frozen":
        found = Weights(framework.adapter_params * model.layers / layout.tp, 0.0)
    else:
        found = _all_weights(model, layout.tp, layout.ep, layout.pp, layout.vpp,
                             layout.first_stage_layers, layout.last_stage_layers)  # fmt: skip
    if not layout.zero:
        return found.all
    of_experts = replicas * layout.tp // layout.ep if layout.ep > 1 else replicas
    return found.dense / replicas + found.experts / max(1, of_experts)


@lru_cache(maxsize=4096)
def _all_weights(
    model: Model, tp: int, ep: int, pp: int, vpp: int, first: int, last: int
) -> Weights:
    """Weights of a rank of each stage together."""
    layout = Layout(global_batch=1, tp=tp, ep=ep, pp=pp, vpp=vpp, first_stage_layers=first,
                    last_stage_layers=last)  # fmt: skip
    found = [weights_of(model, layout, stage) for stage in range(pp)]
    return Weights(sum(w.dense for w in found), sum(w.experts for w in found))
