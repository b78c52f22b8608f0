"""Rings through a node, found in its graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from suiren.hw.topology import Topology

#: Vertices that a search for one ring may try before it gives up.
_TRIES = 4000
#: Links within this of each other are one unit wide.
_UNIT_SLACK = 0.99


@dataclass(frozen=True, slots=True)
class Ring:
    """An order of cards, by their number in the node, and the share of the data it carries."""

    order: tuple[int, ...]
    share: float

    def arcs(self) -> Iterator[tuple[int, int]]:
        """Every card with the next one."""
        yield from zip(self.order, (*self.order[1:], self.order[0]), strict=True)


@lru_cache(maxsize=1024)
def rings_of(topology: Topology, cards: tuple[int, ...]) -> tuple[Ring, ...]:
    """The rings over which a collective of these cards runs; empty for one card.

    Where links between neighbours close to a ring, as many rings as the links have room for
    run at once, found greedily from several starts. Else one ring in the order of numbers,
    through switches or the host.
    """
    if len(cards) < 2:
        return ()
    numbers = {topology.cards[card]: card for card in cards}
    room = {
        (numbers[a], numbers[b]): rate
        for (a, b), rate in topology.direct().items()
        if a in numbers and b in numbers
    }
    found = _most_rings(cards, room) if room else []
    if not found:
        return (Ring(cards, 1.0),)
    counts = {order: found.count(order) for order in dict.fromkeys(found)}
    return tuple(Ring(order, count / len(found)) for order, count in counts.items())


def _most_rings(
    cards: tuple[int, ...], rates: dict[tuple[int, int], float]
) -> list[tuple[int, ...]]:
    """Rings that share no unit of a link, as many as some start of the search finds."""
    unit = min(rates.values()) * _UNIT_SLACK
    room = {pair: int(rate / unit) for pair, rate in rates.items()}
    bound = min(sum(n for (a, _), n in room.items() if a == card) for card in cards)
    best: list[tuple[int, ...]] = []
    for turn in range(len(cards)):
        left = dict(room)
        rings: list[tuple[int, ...]] = []
        while (ring := _ring(cards, left, turn + len(rings))) is not None:
            rings.append(ring)
            for pair in zip(ring, (*ring[1:], ring[0]), strict=True):
                left[pair] -= 1
        if len(rings) > len(best):
            best = rings
        if len(best) >= bound:
            break
    return best


def _ring(
    cards: Sequence[int], left: dict[tuple[int, int], int], turn: int
) -> tuple[int, ...] | None:
    """A ring over links that have room, wide links first; `turn` rotates equal choices."""
    count, tries = len(cards), 0
    place = {card: i for i, card in enumerate(cards)}
    path, used = [cards[0]], {cards[0]}

    def choices(card: int) -> list[int]:
        able = [c for c in cards if c not in used and left.get((card, c), 0) > 0]
        return sorted(able, key=lambda c: (-left[card, c], (place[c] - place[card] - turn) % count))

    stack = [choices(cards[0])]
    while stack:
        tries += 1
        if len(path) == count and left.get((path[-1], path[0]), 0) > 0:
            return tuple(path)
        if tries > _TRIES:
            return None
        if stack[-1]:
            card = stack[-1].pop(0)
            path.append(card)
            used.add(card)
            stack.append(choices(card))
        else:
            stack.pop()
            used.discard(path.pop())
    return None
