"""Where PyTorch would wait for peers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch.distributed as dist
from torch.distributed import device_mesh
from torch.distributed import distributed_c10d as c10d
from torch.distributed.tensor import _dispatch, _random

_stores: list[Any] = []


def install(store: Any, rank: int, world_size: int) -> None:
    """Every rendezvous ends at `store`, random numbers and splits need no peers."""
    _stores[:] = [store]

    def rendezvous(url: str, own_rank: int = -1, size: int = -1, **_: Any) -> Iterator[Any]:
        yield store, own_rank if own_rank >= 0 else rank, size if size > 0 else world_size

    core: Any = c10d
    core.rendezvous = rendezvous
    for name in ("TCPStore", "FileStore"):
        for place in (dist, core):
            if hasattr(place, name):
                setattr(place, name, _store)
    core._store_based_barrier = _no_wait
    dispatching: Any = _dispatch
    dispatching.is_rng_supported_mesh = _never
    tracker: Any = _random._RNGStateTracker
    tracker.distribute_region_enabled = property(_never, _no_wait)
    for place in (dist, core, device_mesh):
        vars(place)["monitored_barrier"] = _no_wait
    _make_own_groups_of_meshes(rank)
    _compare_meshes_once()


def _store(*_: Any, **__: Any) -> Any:
    """The one store of this process, whatever address a script gives."""
    return _stores[-1]


def _no_wait(*_: Any, **__: Any) -> None:
    """Everybody has arrived."""


def _never(*_: Any) -> bool:
    """Random numbers need not agree between ranks that hold no values."""
    return False


def _make_own_groups_of_meshes(rank: int) -> None:
    """Of the groups along a mesh's dimension only this rank's is made; all are counted.

    Groups are named by their count, so that ranks call the same group by the same name.
    """
    kind: Any = device_mesh.DeviceMesh
    make = kind._init_one_process_group
    world: Any = c10d._world

    def make_own(layout: Any, rank_map: Any, name: str, backend: Any) -> Any:
        rows = device_mesh._MeshLayout([layout]).remap_to_tensor(rank_map)
        mine = (rows == rank).any(1).nonzero().flatten().tolist()
        is_bound = getattr(c10d._get_default_group(), "bound_device_id", None) is not None
        if is_bound or len(mine) != 1 or len(rows) == 1 or backend[0] == "fake":
            return make(layout, rank_map, name, backend)
        world.group_count += mine[0]
        options = backend[1]
        group: Any = device_mesh.new_group(
            ranks=rows[mine[0]].tolist(),
            timeout=options._timeout if options else None,
            backend=backend[0],
            pg_options=options,
            group_desc=f"mesh_{name}",
        )
        world.group_count += len(rows) - 1 - mine[0]
        return group.group_name

    kind._init_one_process_group = staticmethod(make_own)


def _compare_meshes_once() -> None:
    """Equal meshes of thousands of ranks share the tuple of them, so that it is compared once."""
    kind: Any = device_mesh.DeviceMesh
    compare = kind.__eq__

    def equal(self: Any, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not kind:
            return bool(compare(self, other))
        if self._layout != other._layout or self._mesh_dim_names != other._mesh_dim_names:
            return False
        if self._flatten_rank_map is not other._flatten_rank_map:
            if self._flatten_rank_map != other._flatten_rank_map:
                return False
            other._flatten_rank_map = self._flatten_rank_map
        return bool(
            self._device_type == other._device_type and self._thread_id == other._thread_id
        )

    kind.__eq__ = equal
