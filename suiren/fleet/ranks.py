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

    def shifted(self, by: int) -> Group:
        """The same group of ranks that lie further on."""
        if not by:
            return self
        if isinstance(self.ranks, range):
            r = self.ranks
            return Group(range(r.start + by, r.stop + by, r.step), self.copy, self.description)
        return Group(tuple(r + by for r in self.ranks), self.copy, self.description)


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
    members = range(*ranks["range"]) if "range" in ranks else tuple(ranks["list"])
    return Group(members, int(fact["copy"]), str(fact["description"]))


def is_collective(call: Call) -> bool:
    """True for a call in which ranks meet."""
    return call.op.startswith(COLLECTIVES)


def int_of(call: Call, name: str) -> int:
    """An integer argument of a collective."""
    value = call.arguments[name]
    if not isinstance(value, int):
        raise TypeError(f"{call.op}: {name} is {value!r}, not an integer")
    return value
