"""Collective algorithms: each makes phases of flows out of a folded group."""

from __future__ import annotations

from collections.abc import Callable

from suiren.fleet.algorithms import direct, hierarchical, ring, switch, tree
from suiren.fleet.fold import Fold
from suiren.fleet.plan import Phase

Planner = Callable[[Fold, str, float], tuple[Phase, ...]]

#: Algorithm to planner.
PLANNERS: dict[str, Planner] = {
    "ring": ring.plan,
    "tree": tree.plan,
    "hierarchical": hierarchical.plan,
    "direct": direct.plan,
    "switch": switch.plan,
}
#: Which ops an algorithm can do.
OPS: dict[str, frozenset[str]] = {
    "ring": ring.OPS,
    "tree": tree.OPS,
    "hierarchical": hierarchical.OPS,
    "direct": direct.OPS,
    "switch": switch.OPS,
}

__all__ = ["OPS", "PLANNERS", "Planner"]
