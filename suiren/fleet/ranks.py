"""Ranks and their groups, as the programs of a distributed run tell them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from suiren.trace.call import Call
from suiren.trace.program import Program

COLLECTIVES = "eccl::"


@dataclass(frozen=True)
class Group:
    """Ranks that meet; `copy` tells groups of the same ranks apart."""

    ranks: Sequence[int]
    copy: int
    description: str = ""
    dimensions: tuple[str, ...] = ()
    """Names of mesh dimensions that the ranks of the whole world make up."""

    def of(self, rank: int, like: int) -> Group:
        """The group that is to `rank` what this one is to its member `like`.

        Groups of ranks at even distances tile the world, as the dimensions of a mesh do; others
        are moved as far as the ranks lie apart.
        """
        if rank in self.ranks:
            return self
        ranks = self.ranks
        if isinstance(ranks, range):
            block = len(ranks) * ranks.step
            first = rank // block * block + rank % ranks.step
            if ranks.start == like // block * block + like % ranks.step:
                moved = range(first, first + block, ranks.step)
                return Group(moved, self.copy, self.description)
        return Group(tuple(r + rank - like for r in ranks), self.copy, self.description)

    def peer_of(self, rank: int, like: int, peer: int, own: Group) -> int:
        """The rank in `own`, the group of `rank`, that is to it what `peer` is to `like` here."""
        places = {r: n for n, r in enumerate(self.ranks) if r in (like, peer)}
        if len(places) < 2 or rank not in own.ranks:
            return peer + rank - like
        distance = places[peer] - places[like]
        return own.ranks[(list(own.ranks).index(rank) + distance) % len(own.ranks)]


@dataclass(frozen=True)
class RankProgram:
    """What one rank asked, standing for all ranks that ask the same."""

    ranks: tuple[int, ...]
    """The ranks, the one that ran first."""
    program: Program

    @property
    def rank(self) -> int:
        """The rank that ran."""
        return self.ranks[0]

    @property
    def world_size(self) -> int:
        """Ranks of the whole run."""
        return int(self.program.facts.get("world_size", 1))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of the rank that ran, by number."""
        return tuple(map(_group, self.program.facts.get("groups", ())))


def _group(fact: dict[str, Any]) -> Group:
    ranks = fact["ranks"]
    members = range(*ranks["range"]) if "range" in ranks else _evenly(tuple(ranks["list"]))
    dimensions = tuple(fact.get("dimensions", ()))
    return Group(members, int(fact["copy"]), str(fact["description"]), dimensions)


def _evenly(ranks: tuple[int, ...]) -> Sequence[int]:
    """Ranks at even distances as a range, others as they are."""
    if len(ranks) < 2 or ranks[1] <= ranks[0]:
        return ranks
    even = range(ranks[0], ranks[-1] + 1, ranks[1] - ranks[0])
    return (
        range(even.start, even.start + len(ranks) * even.step, even.step)
        if (tuple(even) == ranks)
        else ranks
    )


def is_collective(call: Call) -> bool:
    """True for a call in which ranks meet."""
    return call.op.startswith(COLLECTIVES)


def int_of(call: Call, name: str) -> int:
    """An integer argument of a collective."""
    value = call.arguments[name]
    if not isinstance(value, int):
        raise TypeError(f"{call.op}: {name} is {value!r}, not an integer")
    return value
