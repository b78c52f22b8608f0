"""What a framework's attention kernel takes beyond the operator library's on a card."""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.cost import NOTHING, Cost, cost_of
from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.part import Task
from suiren.fleet.sharded_framework import BEFORE_HOPPER_BACKWARD, BEFORE_HOPPER_FORWARD, Sharded
from suiren.hw.cluster import Cluster
from suiren.hw.spec import Card
from suiren.trace.call import Call


def slowdown(framework: Framework, card: Card, back: bool) -> float:
    """Time of a framework's attention over the library's, which knows Hopper's products."""
    if isinstance(framework, Sharded):
        return framework.attention_slowdown(card, back)
    if framework.is_before_hopper and card.chip.family in ("hopper", "blackwell"):
        return float(BEFORE_HOPPER_BACKWARD if back else BEFORE_HOPPER_FORWARD)
    return 1.0


def slower(
    tasks: tuple[Task, ...], cluster: Cluster, layout: Layout, framework: Framework
) -> Cost:
    """The time that the attention of these tasks takes longer: it computes no more."""
    total = NOTHING
    for task in tasks:
        if not isinstance(task, Call) or not task.name.startswith("_scaled_dot_product"):
            continue
        factor = slowdown(framework, cluster.card, task.name.endswith("backward"))
        if factor > 1:
            one = cost_of((task,), cluster, layout, 0.0)
            more = replace(one, flop=0.0, engine_j=0.0, memory_j=0.0)
            total = total + more.times(factor - 1)
    return total
