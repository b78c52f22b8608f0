"""Switch: the switch between the cards adds up and hands out, each byte is sent once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, log2

from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase

OPS = frozenset({"all_reduce"})


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """One phase; between nodes two binary trees carry on, at the same time."""
    nodes = fold.place.nodes
    depth = 2 * ceil(log2(nodes)) if nodes > 1 else 0
    return (Phase(tuple(_flows(fold, size_bytes)), 1, 0, depth, last=False),)


def busiest_share(nodes: int) -> float:
    """What the busiest node sends one way in two binary trees, over the data.

    An inner node has three neighbours in its tree and one in the other, where it is a leaf; each
    neighbour takes half the data. Of two nodes each has one in both trees, of three nodes two
    and one.
    """
    return min(4, nodes) / 4


def can(fold: Fold) -> bool:
    """True where all cards of the group hang on one switch."""
    topology, cards = fold.topology, fold.place.local
    if not topology.of_kind("switch") or len(cards) < 2:
        return False
    return all(_over_one_switch(fold, a, b) for a, b in pairwise(cards))


def _over_one_switch(fold: Fold, start: int, end: int) -> bool:
    """True where the way is up to a switch of links and down again."""
    topology, way = fold.topology, fold.inside(start, end)
    kinds = {topology.vertices[topology.wires[n].end] for n, _ in way}
    return len(way) == 2 and kinds == {"switch", "card"}


def _flows(fold: Fold, size_bytes: float) -> Iterator[Flow]:
    """To the switch: all data for the sums, and the finished piece; from it: the same."""
    nodes = fold.place.nodes
    for cards in fold.groups():
        count = len(cards)
        for start, end in zip(cards, (*cards[1:], cards[0]), strict=True):
            yield Flow(fold.inside(start, end), size_bytes * (1 + 1 / count))
            if nodes > 1:
                out = 2 * size_bytes * busiest_share(nodes) / count
                yield Flow(fold.between(start, start), out)
