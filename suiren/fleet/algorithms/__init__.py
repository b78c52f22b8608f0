"""Collective algorithms: each makes phases of flows out of a folded group."""

from __future__ import annotations

from collections.abc import Callable

from suiren.fleet.algorithms import direct, halving, hierarchical, ring, switch, tree
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
    "halving": halving.phases,
}
#: Which ops an algorithm can do.
OPS: dict[str, frozenset[str]] = {
    "ring": ring.OPS,
    "tree": tree.OPS,
    "hierarchical": hierarchical.OPS,
    "direct": direct.OPS,
    "switch": switch.OPS,
    "halving": halving.OPS,
}
#: What libraries of cards have not.
OF_MPI = frozenset({"halving"})

__all__ = ["ALGORITHMS", "OF_MPI", "OPS", "Algorithm"]
