"""Halving: pairs exchange halves of halves until each rank holds a sum, then the way back."""

from __future__ import annotations

from math import log2

from suiren.fleet.algorithms import ring
from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase

OPS = frozenset({"all_reduce", "barrier"})


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """One phase of as many hops as twice the logarithm of the ranks.

    Rabenseifner's algorithm, which MPICH and its relatives take for large sums (Thakur,
    Rabenseifner, Gropp, IJHPCA 2005): a rank sends (n - 1) / n of the data each way round, as on a
    ring. For one card a node and a power of two of them; a ring for any other group.
    """
    n = fold.place.size
    if len(fold.place.local) > 1 or fold.place.nodes == 1 or n & (n - 1):
        return ring.phases(fold, op, size_bytes)
    moved = 2 * (n - 1) / n * size_bytes
    flows = tuple(Flow(fold.between(c, c), moved) for (c,) in fold.groups())
    return (Phase(flows, 1, 0, 2 * int(log2(n)), last=False),)
