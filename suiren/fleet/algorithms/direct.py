"""Direct: every card sends straight to every other that needs its data."""

from __future__ import annotations

from collections.abc import Iterator

from suiren.fleet.algorithms import switch
from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase
from suiren.hw.fact import assumed

OPS = frozenset(
    {"all_to_all", "all_reduce", "all_gather", "reduce_scatter", "gather", "scatter", "send"}
)

#: Messages to other nodes that a card has under way at once.
AT_ONCE = assumed(16, "channels between pairs of cards in NCCL: up to 32, shared by two ways")


def phases(fold: Fold, op: str, size_bytes: float) -> tuple[Phase, ...]:
    """One phase, two for an all_reduce; each message is one hop."""
    n, nodes = fold.place.size, fold.place.nodes
    if op == "send":
        return (_message(fold, size_bytes),)
    far = n - len(fold.place.local)
    between = 1.0 + far / AT_ONCE if nodes > 1 else 0.0
    if op in ("gather", "scatter"):
        flows = tuple(_rooted(fold, op, size_bytes / n))
        return (Phase(flows, 1, 1 - min(1, far), between, last=False, straight=True),)
    # as many steps as a card has partners, all at once: the pieces of a step are a mean
    pieces = tuple(_everywhere(fold, size_bytes / n / max(1, n - 1)))
    one = Phase(pieces, n - 1, 1 - min(1, far), between, straight=True)
    return (one, one) if op == "all_reduce" else (one,)


def all_joined(fold: Fold) -> bool:
    """True where any two cards of the group have a link of their own."""
    joined = fold.topology.direct()
    cards = [fold.topology.cards[c] for c in fold.place.local]
    return all((a, b) in joined for a in cards for b in cards if a != b)


def _message(fold: Fold, size_bytes: float) -> Phase:
    local = fold.place.local
    if fold.place.nodes == 1:
        return Phase((Flow(fold.inside(local[0], local[-1]), size_bytes),), 1, 1, last=False,
                     straight=True)  # fmt: skip
    flows = tuple(Flow(fold.one_way(c[0], c[-1]), size_bytes) for c in fold.groups())
    return Phase(flows, 1, 0, 1, last=False)


def _rooted(fold: Fold, op: str, piece_bytes: float) -> Iterator[Flow]:
    """A piece between the first card and every other of the group."""
    local, nodes = fold.place.local, fold.place.nodes
    root = local[0]
    for card in local:
        ends = (card, root) if op == "gather" else (root, card)
        if card != root:
            yield Flow(fold.inside(*ends), piece_bytes)
        if nodes > 1:
            yield Flow(fold.between(*ends, fold.far_crossing), piece_bytes * (nodes - 1))


def _everywhere(fold: Fold, piece_bytes: float) -> Iterator[Flow]:
    """A piece from every card to every other.

    A card takes in as much from far nodes as it sends there, so one flow, out and in, stands for
    all of it; so it does inside a node whose cards all hang on one switch.
    """
    nodes, alike = fold.place.nodes, switch.can(fold)
    for cards in fold.groups():
        for start in cards:
            if nodes > 1:
                far = fold.between(start, start, fold.far_crossing)
                yield Flow(far, piece_bytes * (nodes - 1) * len(cards))
            if alike:
                yield _fan(fold, cards, start, piece_bytes)
                continue
            for end in cards:
                if start != end:
                    yield Flow(fold.inside(start, end), piece_bytes)


def _fan(fold: Fold, cards: tuple[int, ...], start: int, piece_bytes: float) -> Flow:
    """What a card sends to and takes from all others of its switch."""
    other = cards[0] if cards[0] != start else cards[1]
    card, wires = fold.topology.cards[start], fold.topology.wires
    out = [(n, share) for n, share in fold.inside(start, other) if wires[n].start == card]
    back = [(n, share) for n, share in fold.inside(other, start) if wires[n].end == card]
    return Flow((*out, *back), piece_bytes * (len(cards) - 1))
