"""Every `c10d` op on tensors of the card comes here: recorded on a stream, values moved.

The eager calls, DDP's reducer, functional collectives, DTensor, FSDP and pipelining all end in
these ops. An op that runs beside (`async_op`) goes to its group's own stream, which waits for
the current one; one that does not goes to the current stream.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from suiren.torch.device import NAME
from suiren.torch.distributed import groups, ops
from suiren.torch.distributed.asked import ASKED, Asked
from suiren.torch.distributed.work import Work

#: Stream numbers of groups, of sends and of receives; the script's own streams count up from 0.
GROUP_STREAM, SEND_STREAM, RECV_STREAM = 0x4000, 0x5000, 0x6000
MOST_STREAMS = 0x1000

#: Where a tensor is, also when the script is answered `cuda`.
_device_of = torch._C.TensorBase.device.__get__

Mover = Callable[[Any, tuple[Any, ...], Asked], "Moved"]
Moved = tuple[ops.Move, Callable[[], int | None] | None]

_library: list[torch.library.Library] = []
_streams: dict[tuple[int, int], torch.Stream] = {}
"""By number and device: a stream is no more than these."""
mover: list[Mover] = []
"""How values move; the last one is used. See `moving` and `pretending`."""
on_collective: list[Callable[[Any, Asked], None]] = []
"""Called before a collective is issued, with the process group and what is asked."""


def register(mine: Mover) -> None:
    """Takes over the `c10d` ops of the card's tensors, their values moved by `mine`."""
    mover.append(mine)
    if _library:
        return
    ops.register()
    library = torch.library.Library("c10d", "IMPL")
    _library.append(library)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ASKED:
            library.impl(name, _kernel(name), "PrivateUse1")


def also_for_host() -> None:
    """Takes over the ops of host tensors too: where no process stands behind a group."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ASKED:
            _library[0].impl(name, _kernel(name), "CPU")


def _kernel(name: str) -> Callable[..., Any]:
    op = getattr(torch.ops.c10d, name).default
    schema = op._schema
    names = [argument.name for argument in schema.arguments]
    defaults = [argument.default_value for argument in schema.arguments]
    at_group = names.index("process_group")
    returns_tensors = len(schema.returns) == 2
    ask = ASKED[name]

    def kernel(*given: Any) -> Any:
        arguments = (*given, *defaults[len(given) :])
        group = dist.ProcessGroup.unbox(arguments[at_group])
        asked = ask(dict(zip(names, arguments, strict=True)), group)
        work = collective(op, arguments, group, asked)
        return (arguments[0], work.boxed()) if returns_tensors else work.boxed()

    return kernel


def collective(op: Any, arguments: tuple[Any, ...], group: Any, asked: Asked) -> Work:
    """Records a collective on its stream and moves its values; returns what to wait for."""
    for told in on_collective:
        told(group, asked)
    number = groups.number_of(group)
    move, finish = mover[-1](op, arguments, asked)
    devices = (_device_of(t) for t in asked.tensors())
    device = next((d for d in devices if d.type == NAME), None)
    if device is None:
        move(asked.outputs, asked.inputs)
        return Work(asked.result, torch.device("cpu"), finish)
    with torch.gcu.stream(_stream(asked, number, device)):
        ops.issue(
            asked.name, asked.outputs, asked.inputs, number, asked.size_bytes, asked.peer, move
        )
        return Work(asked.result, device, finish)


def _stream(asked: Asked, number: int, device: torch.device) -> torch.Stream | None:
    """The stream of a collective, which waits for the current one; None for the current one."""
    if not asked.is_beside:
        return None
    first = {"send": SEND_STREAM, "recv": RECV_STREAM}.get(asked.name, GROUP_STREAM)
    key = first + number % MOST_STREAMS, device.index
    stream = _streams.get(key)
    if stream is None:
        stream = torch.Stream(stream_id=key[0], device_index=key[1], device_type=20)
        _streams[key] = stream
    stream.wait_stream(torch._C._accelerator_getStream(device.index))
    return stream
