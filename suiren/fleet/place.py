"""Where the ranks of a group sit: all that a collective's time depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A group of ranks on a cluster, and how many groups like it meet at the same time."""

    nodes: int
    """How many nodes the group spreads over."""
    local: tuple[int, ...]
    """Its cards in one node, by their number there; the same in every node."""
    siblings: int = 1
    """Groups that start the same collective at once and share the NICs of these nodes."""
    distance: int = 1
    """Nodes between two neighbours of the group: 1 for consecutive nodes."""

    @property
    def size(self) -> int:
        """Ranks of the group."""
        return self.nodes * len(self.local)


def place_of(ranks: Sequence[int], cards_per_node: int, siblings: int | None = None) -> Place:
    """The place of a group of ranks, rank r being card r % n of node r // n.

    Where nodes hold different numbers of its ranks, the node that holds most stands for all.
    `siblings` left out: groups of this stride on the node's other cards do the same.
    """
    by_node: dict[int, list[int]] = {}
    for rank in ranks:
        by_node.setdefault(rank // cards_per_node, []).append(rank % cards_per_node)
    most = max(map(len, by_node.values()))
    local = tuple(sorted(next(c for c in by_node.values() if len(c) == most)))
    numbers = sorted(by_node)
    distance = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if siblings is None:
        siblings = max(1, cards_per_node // len(local)) if len(by_node) > 1 else 1
    return Place(len(by_node), local, siblings, distance)
