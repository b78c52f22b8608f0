"""Tree: two binary trees over the nodes, a chain of cards in each; each carries half the data."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase
from suiren.fleet.rings import rings_of

OPS = frozenset({"all_reduce", "broadcast", "reduce", "barrier"})


def phases(
    fold: Fold, op: str, size_bytes: float, busiest_share: float = 1.0
) -> tuple[Phase, ...]:
    """One phase in which all levels work at once, piece after piece.

    `busiest_share` is what the busiest node sends one way over the data: 1 is what libraries
    count on; of two or three nodes each has less to send (`switch.busiest_share`).
    """
    nodes, inner = fold.place.nodes, len(fold.place.local)
    ways = 2 if op in ("all_reduce", "barrier") else 1
    depth = ceil(log2(nodes)) if nodes > 1 else 0
    flows = tuple(_flows(fold, size_bytes, ways, busiest_share))
    return (Phase(flows, 1, ways * (inner - 1), ways * depth, last=False),)


def _flows(
    fold: Fold, size_bytes: float, ways: int, busiest_share: float
) -> Iterator[Flow]:
    """Up the chain and the trees, and down again where `ways` is 2."""
    nodes = fold.place.nodes
    for cards in fold.groups():
        count = len(cards)
        for one in rings_of(fold.topology, cards):
            for start, end in one.arcs():
                carried = size_bytes * one.share * (count - 1) / count
                yield Flow(fold.inside(start, end), carried)
                if ways == 2:
                    yield Flow(fold.inside(end, start), carried)
        if nodes > 1:
            # an inner node of one tree is a leaf of the other: three neighbours and one, half the
            # data each. Of two or three nodes each has fewer, but libraries do not count on it:
            # NCCL takes the ring there for large data
            out = ways * size_bytes * busiest_share / count
            for card in cards:
                yield Flow(fold.between(card, card), out)
