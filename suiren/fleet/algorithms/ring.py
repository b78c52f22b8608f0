"""Ring: every card sends a piece to the next one, all at once, until each piece has been round."""

from __future__ import annotations

from collections.abc import Iterator

from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase
from suiren.fleet.rings import rings_of

OPS = frozenset({"all_reduce", "all_gather", "reduce_scatter", "broadcast", "reduce", "barrier"})
#: A broadcast goes down the ring in pieces of this many bytes.
PIECE_BYTES = 2**19


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """One phase of equal steps."""
    n, nodes = fold.place.size, fold.place.nodes
    if op in ("broadcast", "reduce"):
        # one way round but for the last arc, piece after piece
        moved = size_bytes + min(size_bytes, PIECE_BYTES) * (n - 2)
        flows = tuple(_flows(fold, moved))
        return (Phase(flows, 1, (n - 1) - (nodes - 1), nodes - 1, last=False),)
    turns = 2 if op in ("all_reduce", "barrier") else 1
    steps, crossings = turns * (n - 1), turns * (nodes - 1)
    flows = tuple(_flows(fold, size_bytes / n))
    return (Phase(flows, steps, steps - crossings, crossings),)


def _flows(fold: Fold, piece_bytes: float) -> Iterator[Flow]:
    """What every arc of the rings carries while each card passes on a piece."""
    nodes = fold.place.nodes
    for cards in fold.groups():
        if len(cards) == 1:
            yield Flow(fold.between(cards[0], cards[0]), piece_bytes)
            continue
        # between nodes every card is once the one where a ring leaves: what its arc would
        # have carried goes to the next node in its place
        leaves = 1 / len(cards) if nodes > 1 else 0.0
        for one in rings_of(fold.topology, cards):
            for start, end in one.arcs():
                yield Flow(fold.inside(start, end), piece_bytes * one.share * (1 - leaves))
                if leaves:
                    yield Flow(fold.between(start, end), piece_bytes * one.share * leaves)
