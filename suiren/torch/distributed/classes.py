"""Which ranks of a world do the same work: found by running few of them and comparing.

Rank 0 runs first. Whom it sends to and receives from are other stages; they run too, and whom
they send to. The ranks that a stage meets in collectives should do as it does; an ordinary one
of them and the one at the far end run to see whether that is so. Where they differ, more run:
next to the places where shards get shorter, one for every pattern of being first, and halfway
between two that differ until the place is found where the work changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from suiren.torch.distributed.along import Along, Known, Pattern
from suiren.torch.distributed.cell import Cell, cell_of
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Ran
from suiren.torch.distributed.outcome import RankOutcome

#: Stages that are run one by one; a chain of sends that is longer is not followed further.
MOST_STAGES = 128
#: Worlds that fall into so many parts without a collective between them are not looked into.
MOST_PARTS = 8


Give = Callable[[Ran, list[int]], None]
"""Puts ranks into the class of one that ran."""


class Classes:
    """The classes of one world."""

    def __init__(self, hub: Hub, world_size: int, cards_per_node: int) -> None:
        self.hub, self.world_size = hub, world_size
        self.known = Known(hub, cards_per_node)
        self.notes = self.known.notes

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
        return [self._outcome(self.known.of(rank), ranks) for rank, ranks in by_digest]

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

    def _pattern(self, cell: Cell) -> Pattern:
        if not cell.axes:
            return Pattern(False, False)
        ordinary, far = self.known.run(cell, [cell.ordinary, cell.far])
        own = self.hub.ran[cell.rank].digest
        is_by_size = far.outline == ordinary.outline
        return Pattern(own != ordinary.digest, far.digest != ordinary.digest, is_by_size)

    def _give(self, cell: Cell, pattern: Pattern, give: Give) -> None:
        if not pattern.first and not pattern.far:
            give(self.hub.ran[cell.rank], sorted(cell.ranks))
            return
        axes = range(len(cell.axes))
        segments = [Along(self.known, cell, axis, pattern).stands() for axis in axes]
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
                give(self.known.get(runner, cell.rank), others)

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
            "ran": len(self.hub.ran), "made": len(self.known.made), "stands_for": len(ranks),
            "notes": self.notes,
        }  # fmt: skip
        return replace(ran.outcome, ranks=tuple(ranks))
