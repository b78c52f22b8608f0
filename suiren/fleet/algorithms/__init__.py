"""Collective algorithms: each makes phases of flows out of a folded group."""

from __future__ import annotations

from collections.abc import Callable

from suiren.fleet.algorithms import direct, hierarchical, ring, switch, tree
from suiren.fleet.fold import Fold
from suiren.fleet.phases import Phase

Algorithm = Callable[[Fold, str, float], tuple[Phase, ...]]

#: Algorithm by name.
ALGORITHMS: dict[str, Algorithm] = {
    "ring": ring.phases,
    "tree": tree.phases,
    "hierarchical": hierarchical.phases,
    "direct": direct.phases,
    "switch": switch.phases,
}
#: Which ops an algorithm can do.
OPS: dict[str, frozenset[str]] = {
    "ring": ring.OPS,
    "tree": tree.OPS,
    "hierarchical": hierarchical.OPS,
    "direct": direct.OPS,
    "switch": switch.OPS,
}

__all__ = ["ALGORITHMS", "OPS", "Algorithm"]
