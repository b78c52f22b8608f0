"""Which ranks must be walked one by one so that all others follow from them.

A rank that only meets ranks of its own class may stand for the class. Where classes meet, and
where ranks send to each other, the ranks that meet are walked: a pipeline's stages are, its
data-parallel copies are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from suiren.fleet.ranks import Group, RankProgram, int_of, is_collective
from suiren.trace.call import Call

#: More ranks than this are not walked one by one.
MOST_WALKERS = 4096


class TooManyWalkers(ValueError):  # noqa: N818 - reads as what it is
    """Ranks differ in too many ways to be walked."""


@dataclass(frozen=True)
class Walked:
    """A rank to walk, and whose program it runs."""

    rank: int
    ran: RankProgram

    def group(self, number: int) -> Group:
        """Its own group of that number."""
        return self.ran.groups[number].of(self.rank, self.ran.rank)

    def peer(self, call: Call) -> int:
        """The other end of its send or receive, the root of its collective, or -1."""
        peer, number = int_of(call, "peer"), int_of(call, "group")
        if peer < 0 or self.rank == self.ran.rank:
            return peer
        group = self.ran.groups[number]
        return group.peer_of(self.rank, self.ran.rank, peer, self.group(number))


def walked_ranks(classes: Sequence[RankProgram]) -> list[Walked]:
    """The ranks to walk, lowest first; raises TooManyWalkers.

    Starts from the ranks that ran and adds whom they send to, and one rank of every class in
    each of their groups.
    """
    if all(len(ran.ranks) == 1 for ran in classes):
        return sorted((Walked(ran.rank, ran) for ran in classes), key=lambda w: w.rank)
    class_of = {rank: ran for ran in classes for rank in ran.ranks}
    found: dict[int, Walked] = {}
    waiting = [Walked(ran.rank, ran) for ran in classes[:1]]
    messages = {id(ran): _messages(ran) for ran in classes}
    while waiting:
        walked = waiting.pop()
        if walked.rank in found:
            continue
        found[walked.rank] = walked
        if len(found) > MOST_WALKERS:
            raise TooManyWalkers(
                f"more than {MOST_WALKERS:,} ranks send to each other or do work of their own; "
                "they cannot be walked one by one"
            )
        wanted = {walked.peer(call) for call in messages[id(walked.ran)]}
        wanted.update(_strangers(walked, class_of, found))
        waiting.extend(Walked(r, class_of[r]) for r in sorted(wanted) if r in class_of)
    return sorted(found.values(), key=lambda w: w.rank)


def _messages(ran: RankProgram) -> list[Call]:
    """Sends and receives, one for each other end."""
    found = {
        (int_of(call, "group"), int_of(call, "peer")): call
        for call in ran.program.calls
        if is_collective(call) and call.name in ("send", "recv") and int_of(call, "peer") >= 0
    }
    return list(found.values())


def _strangers(
    walked: Walked, class_of: Mapping[int, RankProgram], found: Mapping[int, Walked]
) -> Iterable[int]:
    """For every other class in a group of the rank, one rank of it that is walked or may be."""
    used = {
        int_of(c, "group")
        for c in walked.ran.program.calls
        if is_collective(c) and c.name not in ("send", "recv")
    }
    for number in used:
        first: dict[int, int] = {}
        for rank in walked.group(number).ranks:
            ran = class_of.get(rank)
            if ran is not None and (id(ran) not in first or rank in found):
                first[id(ran)] = rank
        for key, rank in first.items():
            if key != id(walked.ran):
                yield rank
