"""Which places along one dimension of a cell do the same work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from suiren.torch.distributed.cell import Cell
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Ran
from suiren.torch.distributed.made import Maker
from suiren.torch.distributed.shard_slots import NotAlike

#: Places along one axis that are looked at before the rest is taken to be like its neighbours.
MOST_LOOKS = 24


@dataclass
class Pattern:
    """How a cell is uneven."""

    first: bool
    """Its own rank does other work than an ordinary one."""
    far: bool
    """So does the rank at its far end."""
    by_size: bool = False
    """The far end asks for the same ops as an ordinary rank, with other sizes."""


class Known:
    """Ranks of a world of which is known what they do: they ran, or were made from two that ran."""

    def __init__(self, hub: Hub, cards_per_node: int) -> None:
        self.hub, self.cards_per_node = hub, cards_per_node
        self.made: dict[int, Ran] = {}
        self.notes: list[str] = []

    def of(self, rank: int) -> Ran:
        """A rank that is known."""
        return self.hub.ran.get(rank) or self.made[rank]

    def get(self, rank: int, like: int) -> Ran:
        """A rank, run if it is not known yet."""
        return self.made[rank] if rank in self.made else self.hub.run([rank], like=like)[0]

    def run(self, cell: Cell, places: list[tuple[int, ...]]) -> list[Ran]:
        """The ranks at these places of a cell, run if they have not."""
        return self.hub.run([cell.at(place) for place in places], like=cell.rank)

    def make(self, lower: int, higher: int, ranks: list[int]) -> None:
        """Makes ranks from two that ran; none where that cannot be done surely."""
        fresh = [rank for rank in ranks if rank not in self.hub.ran and rank not in self.made]
        if not fresh:
            return
        try:
            maker = Maker(self.hub.ran[lower], self.hub.ran[higher], self.cards_per_node)
            self.made.update((rank, maker.make(rank)) for rank in fresh)
        except NotAlike:
            return
        kinds = "kind of ranks was" if len(fresh) == 1 else "kinds of ranks were"
        self.notes.append(
            f"{len(fresh)} {kinds} made, not run: the steady step of rank {lower} with the sizes "
            f"of their shards, which holds for rank {higher}; their first steps are taken to need "
            "no more memory"
        )


class Along:
    """One axis of a cell; a place is a coordinate on it, all others are ordinary."""

    def __init__(self, known: Known, cell: Cell, axis: int, pattern: Pattern) -> None:
        self.known, self.cell, self.axis, self.pattern = known, cell, axis, pattern
        self.offsets = cell.axes[axis].offsets
        self.own, self.usual, self.far = (p[axis] for p in (cell.own, cell.ordinary, cell.far))
        self.digests: dict[int, str] = {}

    def stands(self) -> list[int]:
        """For every place, the place that stands for it."""
        self._look(self.usual, *((self.own,) if self.pattern.first else ()))
        if self.pattern.far:
            shorter = self._shorter_from()
            if self.pattern.by_size and shorter and self.far == len(self.offsets) - 1:
                return self._by_size(shorter)
            around = {place for first in shorter for place in (first - 1, first)}
            self._look(self.far, self.far - 1 if self.far else 1, *sorted(around))
            self._halve()
        return self._by_looks()

    def _at(self, place: int) -> tuple[int, ...]:
        ordinary = self.cell.ordinary
        return (*ordinary[: self.axis], place, *ordinary[self.axis + 1 :])

    def _look(self, *at: int) -> None:
        length = len(self.offsets)
        fresh = [p for p in dict.fromkeys(at) if 0 <= p < length and p not in self.digests]
        for place, ran in zip(fresh, self.known.run(self.cell, list(map(self._at, fresh))),
                              strict=True):  # fmt: skip
            self.digests[place] = ran.digest

    def _by_looks(self) -> list[int]:
        """What lies between two places that were looked at does as the one before."""
        length, digests = len(self.offsets), self.digests
        stands = [self.usual] * length
        seen = sorted(p for p in digests if p != self.own)
        for low, high in zip(seen, [*seen[1:], length], strict=True):
            first = next(p for p in seen if digests[p] == digests[low])
            stands[low:high] = [first] * (high - low)
        if seen and seen[0] > 0:
            stands[: seen[0]] = [seen[0]] * seen[0]
        return self._with_own(stands)

    def _with_own(self, stands: list[int]) -> list[int]:
        """Places that do as its own does, if that is special: one in every node, or only it."""
        own, digests = self.own, self.digests
        if own not in digests or digests[own] == digests[self.usual]:
            return stands
        stands[own] = own
        per_node = self.known.cards_per_node
        alike = [p for p, o in enumerate(self.offsets) if p != own and not o % per_node]
        if not alike or len(alike) == len(self.offsets) - 1:
            return stands
        self._look(alike[0])
        if digests[alike[0]] == digests[own]:
            for place in alike:
                stands[place] = own
        return stands

    def _halve(self) -> None:
        """Finds where the work changes, between places that differ."""
        digests = self.digests
        while True:
            seen = sorted(p for p in digests if p != self.own)
            gaps = [
                (low + high) // 2
                for low, high in pairwise(seen)
                if digests[low] != digests[high] and high - low > 1
            ]
            if not gaps:
                return
            if len(digests) + len(gaps) > MOST_LOOKS:
                self.known.notes.append(
                    f"the work changes at more than {MOST_LOOKS} places of one dimension; ranks "
                    "between those that were run are taken to be like the one before"
                )
                return
            self._look(*gaps)

    def _by_size(self, shorter: list[int]) -> list[int]:
        """Places between two where shards get shorter hold shards of equal sizes: one is known."""
        digests, length = self.digests, len(self.offsets)
        self._look(self.far)
        ends = [self.cell.at(self._at(place)) for place in (self.usual, self.far)]
        between = {place: self.cell.at(self._at(place)) for place in shorter[:-1]}
        self.known.make(ends[0], ends[1], list(between.values()))
        for place, rank in between.items():
            if rank in self.known.made:
                digests[place] = self.known.made[rank].digest
        self._look(*between)
        runners = [*between, self.far]
        stands = [self.usual] * length
        for runner, low, high in zip(runners, shorter, [*shorter[1:], length], strict=True):
            first = next(p for p in (self.usual, *runners) if digests[p] == digests[runner])
            stands[low:high] = [first] * (high - low)
        return self._with_own(stands)

    def _shorter_from(self) -> list[int]:
        """Places from which on some parameter's shards are shorter, ascending."""
        found: set[int] = set()
        own = self.cell.rank
        seen: dict[tuple[int, Sequence[int]], None] = {}
        for cut in self.known.hub.ran[own].cuts or ():
            if (cut.length, cut.ranks) not in seen:
                seen[cut.length, cut.ranks] = None
                if tuple(rank - own for rank in cut.ranks) == self.offsets:
                    found.update(cut.shorter_from)
        return sorted(found)
