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
#: What PyTorch calls the default group, and one that it makes in its place.
_WORLDS = ("default_pg", "mesh_default")
_dimensions: dict[str, None] = {}
"""Named mesh dimensions as long as the world: PyTorch lets the default group serve them."""


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


def note_mesh(mesh: Any) -> None:
    """Keeps the names of dimensions that all ranks make up; a mesh without names has none."""
    for dim, name in enumerate(mesh.mesh_dim_names or ()):
        if mesh.size(dim) == dist.get_world_size():
            _dimensions[str(name)] = None


def as_facts() -> list[dict[str, Any]]:
    """The table as a program's facts keep it: ranks as [start, stop, step] where they are even."""
    return [
        {"ranks": _short(g.ranks), "copy": g.copy, "description": g.description, **_spans(g)}
        for g in groups
    ]


def _spans(group: Group) -> dict[str, list[str]]:
    return {"dimensions": [*_dimensions]} if group.description in _WORLDS else {}


def _short(ranks: tuple[int, ...]) -> dict[str, list[int]]:
    if len(ranks) > 2:
        step = ranks[1] - ranks[0]
        even = range(ranks[0], ranks[-1] + step, step) if step > 0 else range(0)
        if tuple(even) == ranks:
            return {"range": [even.start, even.stop, step]}
    return {"list": list(ranks)}
