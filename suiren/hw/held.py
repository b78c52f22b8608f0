"""A card as a key: what was worked out for a card is remembered for that very object."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.spec import Card


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A card, equal to itself alone; who keeps the key keeps the card, so no other takes its place.

    Cards hold mappings and cannot be keys; a name is not enough, because a card with one fact
    changed has the same.
    """

    card: Card

    def __hash__(self) -> int:
        return id(self.card)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and self.card is other.card
