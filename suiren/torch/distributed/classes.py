"""Which ranks of a world do the same work: found by running few of them and comparing.

Rank 0 runs first. Whom it sends to and receives from are other stages; they run too, and whom
they send to. The ranks that a stage meets in collectives should do as it does; an ordinary one
of them and the one at the far end run to see whether that is so. Where they differ, more run:
next to the places where shards get shorter, one for every pattern of being first, and halfway
between two that differ until the place is found where the work changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise, product

from suiren.torch.distributed.cell import Cell, cell_of
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Ran
from suiren.torch.distributed.outcome import RankOutcome

#: Stages that are run one by one; a chain of sends that is longer is not followed further.
MOST_STAGES = 128
#: Places along one axis that are looked at before the rest is taken to be like its neighbours.
MOST_LOOKS = 24
#: Worlds that fall into so many parts without a collective between them are not looked into.
MOST_PARTS = 8


Give = Callable[[Ran, list[int]], None]
"""Puts ranks into the class of one that ran."""
Look = Callable[..., None]
"""Runs the ranks at these places along an axis."""


@dataclass
class Pattern:
    """How a cell is uneven."""

    first: bool
    """Its own rank does other work than an ordinary one."""
    far: bool
    """So does the rank at its far end."""
    by_size: bool = False
    """The far end asks for the same ops as an ordinary rank, with other sizes."""


class Classes:
    """The classes of one world."""

    def __init__(self, hub: Hub, world_size: int, cards_per_node: int) -> None:
        self.hub, self.world_size, self.cards_per_node = hub, world_size, cards_per_node
        self.notes: list[str] = []

    def find(self) -> list[RankOutcome]:
        """One outcome a class, that of rank 0 first."""
        first = self.hub.run([0])[0]
        if self._failed():
            return self._as_run()
        if not first.group_ranks and not first.peers:
            self.notes.append("the script meets no other rank: all do the same")
            return [self._outcome(first, range(self.world_size))]
        stages = self._stages(first)
        by_digest = self._sorted_out(stages)
        if self._failed():
            return self._as_run()
        return [self._outcome(self.hub.ran[rank], ranks) for rank, ranks in by_digest]

    # ---- stages

    def _stages(self, first: Ran) -> list[Ran]:
        """Every rank found through sends and receives from rank 0, and rank 0."""
        found = {first.rank: first}
        before = set() if first.rank == 0 else set(self.hub.ran)
        while True:
            found.update((r, ran) for r, ran in self.hub.ran.items() if r not in before)
            new = {peer for ran in found.values() for peer in ran.peers} - set(found)
            if not new or self._failed():
                break
            if len(found) >= MOST_STAGES:
                self.notes.append(
                    f"the chain of sends was followed for {len(found)} ranks only; "
                    "the ranks beyond are taken to be like these"
                )
                break
            self.hub.run(sorted(new)[: MOST_STAGES - len(found)])
        return [found[rank] for rank in sorted(found)]

    def _sorted_out(self, stages: list[Ran]) -> list[tuple[int, list[int]]]:
        """(rank that ran, ranks it stands for) of every class, in the order of ranks."""
        owner: dict[str, int] = {}
        ranks: dict[int, list[int]] = {}
        taken: set[int] = set()

        def give(ran: Ran, to: list[int]) -> None:
            runner = owner.setdefault(ran.digest, ran.rank)
            ranks.setdefault(runner, []).extend(r for r in to if r not in taken)
            taken.update(to)

        self._give_cells(stages, give)
        for _ in range(MOST_PARTS):
            left = next((r for r in range(self.world_size) if r not in taken), None)
            if left is None or self._failed():
                break
            new = [ran for ran in self._stages(self.hub.run([left])[0]) if ran.rank not in taken]
            self._give_cells(new, give)
        rest = [r for r in range(self.world_size) if r not in taken]
        if rest and not self._failed():
            self.notes.append(
                f"{len(rest)} ranks meet none of those that were run; they are taken to do as "
                "rank 0 does"
            )
            give(self.hub.ran[0], rest)
        return [(runner, [runner, *sorted(set(r) - {runner})]) for runner, r in ranks.items()]

    def _give_cells(self, stages: list[Ran], give: Give) -> None:
        cells = [self._cell(ran, stages) for ran in stages]
        ends = dict.fromkeys((0, len(cells) - 1))
        patterns = {i: self._pattern(cells[i]) for i in ends}
        uneven_first = all(p.first for p in patterns.values())
        uneven_far = all(p.far for p in patterns.values())
        is_by_size = all(p.by_size for p in patterns.values())
        for index, cell in enumerate(cells):
            if index not in patterns:
                if uneven_first or uneven_far:
                    self._pattern(cell)
                patterns[index] = Pattern(uneven_first, uneven_far, is_by_size)
            self._give(cell, patterns[index], give)

    def _cell(self, ran: Ran, stages: list[Ran]) -> Cell:
        others = {s.rank for s in stages if s.rank != ran.rank}
        return cell_of(ran.rank, ran.group_ranks, others, self.world_size)

    # ---- inside a cell

    def _digest(self, cell: Cell, places: tuple[int, ...]) -> str:
        return self._run(cell, [places])[0].digest

    def _run(self, cell: Cell, places: list[tuple[int, ...]]) -> list[Ran]:
        return self.hub.run([cell.at(p) for p in places], like=cell.rank)

    def _pattern(self, cell: Cell) -> Pattern:
        if not cell.axes:
            return Pattern(False, False)
        ordinary, far = self._run(cell, [cell.ordinary, cell.far])
        own = self.hub.ran[cell.rank].digest
        is_by_size = far.outline == ordinary.outline
        return Pattern(own != ordinary.digest, far.digest != ordinary.digest, is_by_size)

    def _give(self, cell: Cell, pattern: Pattern, give: Give) -> None:
        if not pattern.first and not pattern.far:
            give(self.hub.ran[cell.rank], sorted(cell.ranks))
            return
        segments = [self._segments(cell, axis, pattern) for axis in range(len(cell.axes))]
        exact = {cell.at(cell.own), cell.at(cell.far)}
        members: dict[tuple[int, ...], list[int]] = {}
        for places in product(*(range(len(axis)) for axis in cell.axes)):
            stands = tuple(s[p] for s, p in zip(segments, places, strict=True))
            members.setdefault(stands, []).append(cell.at(places))
        for rank in sorted(exact):
            give(self.hub.ran[rank], [rank])
        for stands, ranks in members.items():
            others = [rank for rank in ranks if rank not in exact]
            if others and pattern.by_size and stands == cell.far:
                give(self.hub.ran[cell.at(cell.far)], others)
            elif others:  # a corner may be special: it stands for itself alone
                runner = cell.at(stands) if cell.at(stands) in others else others[0]
                give(self.hub.run([runner], like=cell.rank)[0], others)

    def _segments(self, cell: Cell, axis: int, pattern: Pattern) -> list[int]:
        """For every place along an axis, the place that stands for it."""
        length = len(cell.axes[axis])
        usual = cell.ordinary[axis]
        digests: dict[int, str] = {}

        def look(*at: int) -> None:
            fresh = [p for p in dict.fromkeys(at) if 0 <= p < length and p not in digests]
            places = [(*cell.ordinary[:axis], p, *cell.ordinary[axis + 1 :]) for p in fresh]
            for place, ran in zip(fresh, self._run(cell, places), strict=True):
                digests[place] = ran.digest

        own = cell.own[axis]
        look(usual, *((own,) if pattern.first else ()))
        if pattern.far:
            far, shorter = cell.far[axis], self._shorter_from(cell, axis)
            if pattern.by_size and shorter and far == length - 1:
                look(far, *shorter[:-1])
                return self._by_size(cell, axis, digests, [*shorter[:-1], far], shorter, look)
            around = {place for first in shorter for place in (first - 1, first)}
            look(far, far - 1 if far else 1, *sorted(around))
            self._halve(digests, look, own)
        stands = [usual] * length
        known = sorted(p for p in digests if p != own)
        for low, high in zip(known, [*known[1:], length], strict=True):
            first = next(p for p in known if digests[p] == digests[low])
            stands[low:high] = [first] * (high - low)
        if known and known[0] > 0:
            stands[: known[0]] = [known[0]] * known[0]
        for place in self._like_own(cell, axis, digests, usual, look):
            stands[place] = own
        return stands

    def _like_own(
        self, cell: Cell, axis: int, digests: dict[int, str], usual: int, look: Look
    ) -> list[int]:
        """Places that do as its own does, if that is special: one in every node, or only it."""
        own, offsets = cell.own[axis], cell.axes[axis].offsets
        if own not in digests or digests[own] == digests[usual]:
            return []
        per_node = self.cards_per_node
        alike = [p for p, o in enumerate(offsets) if p != own and not o % per_node]
        if not alike or len(alike) == len(offsets) - 1:
            return [own]
        look(alike[0])
        return [own, *alike] if digests[alike[0]] == digests[own] else [own]

    def _halve(self, digests: dict[int, str], look: Look, own: int) -> None:
        """Finds where the work changes, between places that differ."""
        while True:
            known = sorted(p for p in digests if p != own)
            gaps = [
                (low + high) // 2
                for low, high in pairwise(known)
                if digests[low] != digests[high] and high - low > 1
            ]
            if not gaps:
                return
            if len(digests) + len(gaps) > MOST_LOOKS:
                self.notes.append(
                    f"the work changes at more than {MOST_LOOKS} places of one dimension; ranks "
                    "between those that were run are taken to be like the one before"
                )
                return
            look(*gaps)

    def _by_size(
        self, cell: Cell, axis: int, digests: dict[int, str], runners: list[int],
        shorter: list[int], look: Look,
    ) -> list[int]:  # fmt: skip
        """Places between two where shards get shorter hold shards of equal sizes: one runs."""
        length, usual = len(cell.axes[axis]), cell.ordinary[axis]
        stands = [usual] * length
        for runner, low, high in zip(runners, shorter, [*shorter[1:], length], strict=True):
            first = next(p for p in (usual, *runners) if digests[p] == digests[runner])
            stands[low:high] = [first] * (high - low)
        for place in self._like_own(cell, axis, digests, usual, look):
            stands[place] = cell.own[axis]
        return stands

    def _shorter_from(self, cell: Cell, axis: int) -> list[int]:
        """Places from which on some parameter's shards are shorter, ascending."""
        offsets = cell.axes[axis].offsets
        found = {
            place
            for ranks, place in self.hub.ran[cell.rank].breaks or ()
            if tuple(r - cell.rank for r in ranks) == offsets
        }
        return sorted(found)

    # ---- what comes out

    def _failed(self) -> bool:
        return any(ran.outcome.ended != "finished" for ran in self.hub.ran.values())

    def _as_run(self) -> list[RankOutcome]:
        """Every rank that ran, for itself: some of them failed."""
        ran = [self.hub.ran[rank] for rank in sorted(self.hub.ran)]
        self.notes.append("some ranks did not finish; classes were not looked for")
        return [self._outcome(r, [r.rank]) for r in ran]

    def _outcome(self, ran: Ran, ranks: list[int] | range) -> RankOutcome:
        ran.outcome.program.facts["ranks"] = {
            "ran": len(self.hub.ran), "stands_for": len(ranks), "notes": self.notes,
        }  # fmt: skip
        return replace(ran.outcome, ranks=tuple(ranks))
