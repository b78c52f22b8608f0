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
from suiren.torch.distributed.asked import Asked
from suiren.torch.distributed.ops import Move

_hosts: dict[str, Any] = {}
"""By name of a group: the same group for host tensors, through which the values go."""


def moved(
    op: Any, arguments: tuple[Any, ...], asked: Asked
) -> tuple[Move, Callable[[], None] | None]:
    """How to move the values of a `c10d` op called with these arguments."""
    under_way: list[Any] = []
    is_pairwise = asked.name in ("send", "recv")

    def move(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
        own = list(asked.tensors())
        host = dict(zip(map(id, own), [*outputs, *inputs], strict=True))
        found = op(*[_on_host(argument, host) for argument in arguments])
        work = found[1] if isinstance(found, tuple) else found
        work = dist._Work.unbox(work) if hasattr(dist._Work, "unbox") else work
        if is_pairwise:
            under_way.append(work)
        else:
            work.wait()

    def finish() -> None:
        for work in under_way:
            work.wait()
        under_way.clear()

    return move, finish if is_pairwise else None


def _on_host(argument: Any, host: dict[int, torch.Tensor]) -> Any:
    if isinstance(argument, torch.Tensor):
        return host.get(id(argument), argument)
    if isinstance(argument, (list, tuple)):
        return [_on_host(part, host) for part in argument]
    if isinstance(argument, torch.ScriptObject) and _is_group(argument):
        return _host_group(dist.ProcessGroup.unbox(argument))
    return argument


def _is_group(thing: Any) -> bool:
    return str(thing._type()).endswith("c10d.ProcessGroup")


def _host_group(group: Any) -> Any:
    """The group's own backend under a group of the host, boxed; a group of the card has none."""
    name = str(group.group_name)
    if name not in _hosts:
        twin = dist.ProcessGroup(group.get_group_store(), group.rank(), group.size())
        kind = dist.ProcessGroup.BackendType.CUSTOM
        twin._set_default_backend(kind)
        twin._register_backend(
            torch.device("cpu"), kind, group._get_backend(torch.device(NAME))
        )
        twin._set_group_name(name)
        _hosts[name] = (group, twin)
    return _hosts[name][1].boxed()
