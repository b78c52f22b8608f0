"""Process groups by number, as the record names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class Group:
    """Ranks that meet. Two groups of the same ranks differ by `copy`, in order of creation."""

    ranks: tuple[int, ...]
    copy: int
    description: str


groups: list[Group] = []
"""By number."""
_numbers: dict[str, int] = {}


def number_of(group: Any) -> int:
    """The number of a process group, given at its first use."""
    name = str(group.group_name)
    found = _numbers.get(name)
    if found is None:
        ranks = _ranks_of(group, name)
        copy = sum(known.ranks == ranks for known in groups)
        found = _numbers[name] = len(groups)
        groups.append(Group(ranks, copy, str(group.group_desc)))
    return found


def _ranks_of(group: Any, name: str) -> tuple[int, ...]:
    for known, ranks in dist.distributed_c10d._world.pg_group_ranks.items():
        if isinstance(known, dist.ProcessGroup) and known.group_name == name:
            return tuple(sorted(ranks, key=ranks.__getitem__))
    return tuple(range(group.size()))


def as_facts() -> list[dict[str, Any]]:
    """The table as a program's facts keep it: ranks as [start, stop, step] where they are even."""
    return [
        {"ranks": _short(g.ranks), "copy": g.copy, "description": g.description} for g in groups
    ]


def _short(ranks: tuple[int, ...]) -> dict[str, list[int]]:
    if len(ranks) > 2:
        step = ranks[1] - ranks[0]
        even = range(ranks[0], ranks[-1] + step, step) if step > 0 else range(0)
        if tuple(even) == ranks:
            return {"range": [even.start, even.stop, step]}
    return {"list": list(ranks)}
