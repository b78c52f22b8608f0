"""Values of a collective, moved between processes over loopback by gloo.

A collective's values are there when it is issued; a send or receive is under way until it is
waited for, so that two ranks may send to each other first and receive after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist

from suiren.torch.device import NAME
from suiren.torch.distributed import carrying
from suiren.torch.distributed.asked import Asked
from suiren.torch.distributed.ops import Move

_hosts: dict[str, tuple[Any, Any]] = {}
"""By name of a group: the group, and the same for host tensors, through which values go."""


def moved(
    op: Any, arguments: tuple[Any, ...], asked: Asked
) -> tuple[Move, Callable[[], int | None] | None]:
    """How to move the values of a `c10d` op called with these arguments."""
    under_way: list[tuple[Any, Sequence[torch.Tensor], list[torch.Tensor]]] = []
    is_pairwise = asked.name in ("send", "recv")
    reduces = "reduce" in asked.name
    group = _host_group(_group_in(arguments))

    def move(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
        own, host = list(asked.tensors()), [*outputs, *inputs]
        carriers = [carrying.carried(t, reduces) for t in host]
        place = dict(zip(map(id, own), carriers, strict=True))
        given = [_on_host(argument, place) for argument in arguments]
        under_way.append((_call(op, given, group, reduces), outputs, carriers))
        if not is_pairwise:
            finish()

    def finish() -> int | None:
        source = None
        for work, outputs, carriers in under_way:
            if work is not None:
                work.wait()
                source = work._source_rank() if asked.name == "recv" else None
            for tensor, carrier in zip(outputs, carriers, strict=False):
                carrying.bring_back(tensor, carrier)
        under_way.clear()
        return source

    return move, finish if is_pairwise else None


def _call(op: Any, given: list[Any], group: Any, reduces: bool) -> Any:
    """The work of a `c10d` op on host tensors; None if it is done."""
    name = op._schema.name.partition("::")[2]
    if reduces and carrying.sum_instead(given, name, group):
        return None
    if name == "allgather_" and _is_uneven(given[0][0]):
        return _broadcast_each(given[0][0], given[1][0], group)
    if name == "alltoall_":
        return _exchange(given[0], given[1], group)
    if name in _FLAT:  # gloo looks at shapes, where only sizes matter
        given = [_flattened(given[0]), _flattened(given[1]), *given[2:]]
    found = op(*[group.boxed() if _is_group(a) else a for a in given])
    return dist._Work.unbox(found[1] if isinstance(found, tuple) else found)


_FLAT = {
    "_allgather_base_", "_reduce_scatter_base_", "allgather_into_tensor_coalesced_",
    "reduce_scatter_tensor_coalesced_",
}  # fmt: skip


def _flattened(thing: Any) -> Any:
    return thing.view(-1) if isinstance(thing, torch.Tensor) else [_flattened(t) for t in thing]


def _is_uneven(tensors: list[torch.Tensor]) -> bool:
    return any(t.shape != tensors[0].shape for t in tensors)


def _broadcast_each(into: list[torch.Tensor], own: torch.Tensor, group: Any) -> None:
    """Gathers tensors of several shapes, as NCCL does: each is broadcast by its owner."""
    into[group.rank()].copy_(own)
    for rank, tensor in enumerate(into):
        group.broadcast(tensor, rank).wait()


def _exchange(into: list[torch.Tensor], own: list[torch.Tensor], group: Any) -> None:
    """An all-to-all of lists, whose tensors may differ in size; gloo wants equal ones there."""
    packed = torch.cat([t.reshape(-1) for t in own])
    sizes = [t.numel() for t in into]
    arrived = packed.new_empty(sum(sizes))
    given = (sizes, [t.numel() for t in own], dist.AllToAllOptions())
    group.alltoall_base(arrived, packed, *given).wait()
    for tensor, part in zip(into, arrived.split(sizes), strict=True):
        tensor.copy_(part.view(tensor.shape))


def _on_host(argument: Any, host: dict[int, torch.Tensor]) -> Any:
    if isinstance(argument, torch.Tensor):
        return host.get(id(argument), argument)
    if isinstance(argument, (list, tuple)):
        return [_on_host(part, host) for part in argument]
    return argument


def _is_group(thing: Any) -> bool:
    return isinstance(thing, torch.ScriptObject) and "ProcessGroup" in str(thing._type())


def _group_in(arguments: tuple[Any, ...]) -> Any:
    return dist.ProcessGroup.unbox(next(a for a in arguments if _is_group(a)))


def _host_group(group: Any) -> Any:
    """The group's own backend under a group of the host; a group of the card has none."""
    name = str(group.group_name)
    known = _hosts.get(name)
    if known is None or known[0] is not group:
        twin = dist.ProcessGroup(group.get_group_store(), group.rank(), group.size())
        kind = dist.ProcessGroup.BackendType.CUSTOM
        twin._set_default_backend(kind)
        backend = group._get_backend(torch.device(NAME))
        twin._register_backend(torch.device("cpu"), kind, backend)
        twin._set_group_name(group.group_name)
        known = _hosts[name] = (group, twin)
    return known[1]
