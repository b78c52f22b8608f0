"""Halving: pairs exchange halves of halves until each rank holds a sum, then the way back."""

from __future__ import annotations

from collections.abc import Iterator

from suiren.fleet.algorithms import ring
from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase

OPS = frozenset({"all_reduce", "barrier"})


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """A phase for the exchanges that cross the upper switches alike, farthest partners first.

    Rabenseifner's algorithm, which MPICH and its relatives take for large sums (Thakur,
    Rabenseifner, Gropp, IJHPCA 2005): n ranks exchange a half with the one n / 2 away, a quarter
    with the one n / 4 away and so on, and come back; a rank sends (n - 1) / n of the data each way
    round, as on a ring. For one card a node and a power of two of them; a ring for any other group.
    """
    n = fold.place.size
    if len(fold.place.local) > 1 or fold.place.nodes == 1 or n & (n - 1):
        return ring.phases(fold, op, size_bytes)
    moved: dict[float, list[float]] = {}
    for apart in _distances(n):
        moved.setdefault(fold.crossing_over(apart), []).append(2 * apart / n * size_bytes)
    return tuple(
        Phase(
            tuple(Flow(fold.between(c, c, crossing), sum(each)) for (c,) in fold.groups()),
            1, 0, 2 * len(each), last=False,
        )
        for crossing, each in moved.items()
    )  # fmt: skip


def _distances(n: int) -> Iterator[int]:
    while n := n // 2:
        yield n
