"""How parameters of this process are cut along the dimensions of their meshes, from sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any


@dataclass(frozen=True)
class Cut:
    """One sharded parameter along one dimension of its mesh, as a rank holds it."""

    name: str
    """As its storage is labelled; empty where its module is not known."""
    here: tuple[int, ...]
    """Shape of the shard of the rank that tells."""
    dim: int
    """The tensor dimension that is cut."""
    length: int
    """Length of that dimension before it is cut along this dimension of the mesh."""
    ranks: Sequence[int]
    """Ranks along the dimension of the mesh, ascending, as a range where they lie evenly; a place
    is an index into them."""

    def at(self, place: int) -> tuple[int, ...]:
        """Shape of the shard of the rank at this place: a piece of `torch.chunk`."""
        size = -(-self.length // len(self.ranks))
        own = max(0, min(size, self.length - place * size))
        return (*self.here[: self.dim], own, *self.here[self.dim + 1 :])

    @property
    def shorter_from(self) -> tuple[int, ...]:
        """Places from which on shards are shorter."""
        return places_of(self.length, len(self.ranks))


def cuts() -> tuple[Cut, ...] | None:
    """Every cut of every sharded parameter of this process.

    None where a parameter is cut in a way that is not worked out here: over two dimensions of
    its mesh that do not go evenly into it.
    """
    from torch.distributed.tensor import DTensor

    from suiren.torch import watch

    found: dict[tuple[str, int], Cut] = {}
    along: dict[tuple[Any, int], Sequence[int]] = {}
    for reference in watch.roots:
        root: Any = reference()
        for name, parameter in root.named_parameters() if root is not None else ():
            if not isinstance(parameter, DTensor):
                continue
            label = f"{type(root).__name__}.{name}"
            here = tuple(parameter._local_tensor.shape)
            for dim in range(len(parameter.placements)):
                cut = _length(parameter, dim)
                if cut is None:
                    return None
                if cut == UNCUT:
                    continue
                mesh = parameter.device_mesh
                if (mesh, dim) not in along:
                    along[mesh, dim] = _ranks_along(mesh, dim)
                found[label, dim] = Cut(label, here, *cut, along[mesh, dim])
    return tuple(found.values())


def places_of(length: int, parts: int) -> tuple[int, ...]:
    """Where pieces of `torch.chunk` get shorter: one that is cut short, the first empty one."""
    size = -(-length // parts)
    whole, rest = divmod(length, size) if size else (0, 0)
    shorter = (whole, whole + 1) if rest else (whole,)
    return tuple(place for place in shorter if place < parts)


UNCUT = (-1, 0)


def _length(parameter: Any, dim: int) -> tuple[int, int] | None:
    """(tensor dimension, its length before it is cut) along one dimension of a parameter's mesh.

    None if it hangs on another dimension of the mesh.
    """
    from torch.distributed.tensor.placement_types import Shard, _StridedShard

    placements, mesh = parameter.placements, parameter.device_mesh
    placement = placements[dim]
    if not isinstance(placement, (Shard, _StridedShard)):
        return UNCUT
    # a strided shard is cut out of what the other dimensions left, a plain one of what those
    # before it left
    before = range(len(placements) if isinstance(placement, _StridedShard) else dim)
    parts = prod(
        mesh.size(other)
        for other in before
        if other != dim
        and isinstance(placements[other], (Shard, _StridedShard))
        and placements[other].dim == placement.dim
    )
    length, rest = divmod(parameter.shape[placement.dim], parts)
    return None if rest else (placement.dim, length)


def _ranks_along(mesh: Any, dim: int) -> Sequence[int]:
    """Ranks along a dimension of a mesh through this rank; groups may be gone by now."""
    place: list[Any] = list(mesh.get_coordinate())
    place[dim] = slice(None)
    ranks = sorted(mesh.mesh[tuple(place)].tolist())
    even = range(ranks[0], ranks[-1] + 1, ranks[1] - ranks[0] if len(ranks) > 1 else 1)
    return even if list(even) == ranks else tuple(ranks)
