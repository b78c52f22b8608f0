"""Hierarchical: inside the nodes first, then each card with its twins in the other nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from suiren.fleet.algorithms import direct, ring
from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase
from suiren.fleet.place import Place

OPS = frozenset({"all_reduce", "all_gather", "reduce_scatter", "broadcast", "barrier"})


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """Scatter inside, rings between the nodes, gather inside; what an op needs of it."""
    nodes, inner = fold.place.nodes, len(fold.place.local)
    if nodes == 1 or inner == 1:
        return ring.phases(fold, op, size_bytes)
    alone = replace(fold, place=Place(1, fold.place.local, fold.place.siblings))
    mine = size_bytes / inner
    if op == "broadcast":
        down = Phase(tuple(_outside(fold, mine)), 1, 0, nodes - 1, last=False)
        return (down, *_inside(alone, "all_gather", size_bytes))
    turns = 2 if op in ("all_reduce", "barrier") else 1
    steps = turns * (nodes - 1)
    across = Phase(tuple(_outside(fold, mine / nodes)), steps, 0, steps)
    if op == "all_gather":
        return (across, *_inside(alone, "all_gather", size_bytes))
    scatter = _inside(alone, "reduce_scatter", size_bytes)
    if op == "reduce_scatter":
        return (*scatter, across)
    return (*scatter, across, *_inside(alone, "all_gather", size_bytes))


def _inside(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """Straight to every card where all are neighbours, else round the rings."""
    if direct.all_joined(fold):
        return direct.phases(fold, op, size_bytes)
    return ring.phases(fold, op, size_bytes)


def _outside(fold: Fold, piece_bytes: float) -> Iterator[Flow]:
    """Every card sends a piece to its twin in the next node."""
    for cards in fold.groups():
        for card in cards:
            yield Flow(fold.between(card, card), piece_bytes)
