"""What a framework's attention kernel takes beyond the operator library's on a card."""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.attention_rates import slowdown
from suiren.fleet.cost import NOTHING, Cost, cost_of
from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.part import Task
from suiren.fleet.sharded_framework import Sharded
from suiren.hw.cluster import Cluster
from suiren.hw.spec import Card
from suiren.trace.call import Call


def _slowdown(framework: Framework, card: Card, back: bool) -> float:
    if isinstance(framework, Sharded):
        return framework.attention_slowdown(card, back)
    return slowdown(framework.attention_kernel, card, back)


def slower(
    tasks: tuple[Task, ...], cluster: Cluster, layout: Layout, framework: Framework
) -> Cost:
    """The time that the attention of these tasks takes longer, or less: it computes no more."""
    total = NOTHING
    for task in tasks:
        if not isinstance(task, Call) or not task.name.startswith("_scaled_dot_product"):
            continue
        factor = _slowdown(framework, cluster.card, task.name.endswith("backward"))
        if factor != 1:
            one = cost_of((task,), cluster, layout, 0.0)
            more = replace(one, flop=0.0, engine_j=0.0, memory_j=0.0)
            total = total + more.times(factor - 1)
    return total
