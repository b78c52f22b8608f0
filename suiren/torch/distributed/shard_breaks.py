"""Where along the dimensions of meshes a parameter's shards get shorter, told from sizes alone."""

from __future__ import annotations

from math import prod
from typing import Any

from suiren.torch.distributed.job import Breaks


def shard_breaks() -> Breaks | None:
    """Every place from which on some sharded parameter of this process has shorter shards.

    None where a parameter is cut in a way that is not worked out here: over two dimensions of
    its mesh that do not go evenly into it.
    """
    from torch.distributed.tensor import DTensor

    from suiren.torch import watch

    found: dict[tuple[tuple[int, ...], int], None] = {}
    seen: set[Any] = set()
    for reference in watch.roots:
        root: Any = reference()
        for parameter in root.parameters() if root is not None else ():
            if not isinstance(parameter, DTensor):
                continue
            key = (parameter.device_mesh, parameter.placements, parameter.shape)
            if key in seen:
                continue
            seen.add(key)
            for dim in range(len(parameter.placements)):
                places = _places(parameter, dim)
                if places is None:
                    return None
                for place in places:
                    found[(_ranks_along(parameter.device_mesh, dim), place)] = None
    return tuple(found)


def places_of(length: int, parts: int) -> tuple[int, ...]:
    """Where pieces of `torch.chunk` get shorter: one that is cut short, the first empty one."""
    size = -(-length // parts)
    whole, rest = divmod(length, size) if size else (0, 0)
    shorter = (whole, whole + 1) if rest else (whole,)
    return tuple(place for place in shorter if place < parts)


def _places(parameter: Any, dim: int) -> tuple[int, ...] | None:
    """Places along one dimension of a parameter's mesh; None if they hang on another dimension."""
    from torch.distributed.tensor.placement_types import Shard, _StridedShard

    placements, mesh = parameter.placements, parameter.device_mesh
    placement = placements[dim]
    if not isinstance(placement, (Shard, _StridedShard)):
        return ()
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
    return None if rest else places_of(length, mesh.size(dim))


def _ranks_along(mesh: Any, dim: int) -> tuple[int, ...]:
    """Ranks along a dimension of a mesh through this rank; groups may be gone by now."""
    place: list[Any] = list(mesh.get_coordinate())
    place[dim] = slice(None)
    return tuple(sorted(mesh.mesh[tuple(place)].tolist()))
