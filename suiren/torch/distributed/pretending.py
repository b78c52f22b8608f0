"""One process that is rank r of a world of any size: its peers are believed, not run.

Collectives on tensors without values are only recorded. Control tensors that hold values come
out as if every peer held this rank's: a sum is n times it, a gathering n copies of it. What has
one sender (a broadcast, a scattering, a recv) is asked of the rank that sends, over the `Line`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FakeProcessGroup
from torch.distributed import distributed_c10d as c10d

from suiren.torch import _shim
from suiren.torch.device import NAME
from suiren.torch.distributed import backend, eccl, groups, quickening, reduction, shortcuts
from suiren.torch.distributed.asked import Asked
from suiren.torch.distributed.echoing import ECHO
from suiren.torch.distributed.lone_store import LoneStore
from suiren.torch.distributed.ops import Move
from suiren.torch.distributed.post import Line, Want

BACKEND = "alone"
#: Messages up to this size may hold values: as much as the device computes with at once.
MOST_BYTES = 4 * 65536
#: Collectives whose values come from one rank.
SENDERS = ("broadcast", "scatter", "send", "recv")


class Pretence:
    """Rank `rank` of `world_size`, with a line to the ranks that run beside it."""

    def __init__(self, rank: int, world_size: int, line: Line) -> None:
        self.rank, self.world_size, self.line = rank, world_size, line
        self._counts: dict[tuple[str, int], int] = {}

    def install(self) -> None:
        """Makes `torch.distributed` of this process pretend."""
        eccl.install()
        dist.Backend.register_backend(BACKEND, _create, extended_api=True, devices=["cpu", NAME])
        quickening.install()
        backend.register(self.moved)
        backend.also_for_host()
        shortcuts.install(LoneStore(self.line, self.world_size), self.rank, self.world_size)
        _pretend_groups()

    # ---- values

    def moved(
        self, op: Any, arguments: tuple[Any, ...], asked: Asked
    ) -> tuple[Move, Callable[[], None] | None]:
        """How the values of a `c10d` op move."""
        group = _group_among(arguments)
        if asked.name not in SENDERS:
            return self._echoed(asked, group), None
        if sum(t.numel() * t.element_size() for t in asked.tensors()) > MOST_BYTES:
            return _nothing, None
        has_values = all(_shim.is_real(t) for t in asked.tensors())
        if asked.name == "send" or (asked.peer == self.rank and asked.name != "recv"):
            return self._sent(asked, group, has_values), None
        return self._received(asked, group, has_values)

    def _echoed(self, asked: Asked, group: Any) -> Move:
        wanted, size, me = reduction.said(), group.size(), group.rank()
        if asked.name in ("reduce", "gather") and asked.peer != self.rank:
            return _nothing

        def move(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
            with torch.no_grad():
                ECHO[asked.name](outputs, inputs, size, me, wanted)

        return move

    def _sent(self, asked: Asked, group: Any, has_values: bool) -> Move:
        channel, kin = self._words(asked, group, asked.peer if asked.name == "send" else -1)
        if not has_values:
            self.line.post(channel, kin, None)
            return _nothing

        def move(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
            what = inputs if asked.name in ("send", "scatter") else outputs
            self.line.post(channel, kin, _pack(what))
            if asked.name == "scatter" and inputs:
                outputs[0].copy_(inputs[group.rank()])

        return move

    def _received(
        self, asked: Asked, group: Any, has_values: bool
    ) -> tuple[Move, Callable[[], None]]:
        channel, kin = self._words(asked, group, self.rank if asked.name == "recv" else -1)
        want = Want(asked.name, channel, kin, asked.peer, asked.name != "recv")
        into: list[torch.Tensor] = []

        def move(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
            into.extend(outputs)

        def finish() -> None:
            payload = self.line.take(want)
            if payload is not None and into:
                values = _unpack(payload)
                if asked.name == "scatter":
                    values = values[group.rank() : group.rank() + 1]
                with torch.no_grad():
                    for tensor, value in zip(into, values, strict=False):
                        if tensor.numel() == value.numel():
                            tensor.copy_(value.view(tensor.shape))

        if asked.name == "recv":
            return move, finish

        def move_now(outputs: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]) -> None:
            move(outputs, inputs)
            finish()

        if has_values:
            return move_now, _done
        self.line.take(want)
        return _nothing, _done

    def _words(self, asked: Asked, group: Any, receiver: int) -> tuple[tuple[Any, ...], ...]:
        """The channel of a message, and the same in words that hold for every like rank."""
        name, number = str(group.group_name), groups.number_of(group)
        if asked.name in ("send", "recv"):
            sender = self.rank if asked.name == "send" else asked.peer
            offset = receiver - sender
            return ("p2p", name, sender, receiver), ("p2p", number, offset)
        key = (name, 0)
        count = self._counts[key] = self._counts.get(key, -1) + 1
        return ("one", name, asked.peer, count), ("one", number, count)


def _group_among(arguments: Sequence[Any]) -> Any:
    for argument in arguments:
        if isinstance(argument, torch.ScriptObject) and "ProcessGroup" in str(argument._type()):
            return dist.ProcessGroup.unbox(argument)
    raise RuntimeError("a collective without a process group")


def _nothing(*_: Any) -> None:
    """There is nothing to move."""


def _done() -> None:
    """The values are there."""


def _pack(tensors: Sequence[torch.Tensor]) -> bytes:
    file = io.BytesIO()
    torch.save([t.detach().clone().contiguous() for t in tensors], file)
    return file.getvalue()


def _unpack(payload: bytes) -> list[torch.Tensor]:
    values: list[torch.Tensor] = torch.load(io.BytesIO(payload), weights_only=True)
    return values


# ---- groups


def _create(options: Any, _: Any = None) -> Any:
    """A group nobody stands behind; the card's and the host's ops never reach it."""
    kind: Any = FakeProcessGroup
    return kind._create_internal(options.group_rank, options.group_size, None)


def _pretend_groups() -> None:
    """Every group has the backend above, and is answered by the name the script gave."""
    make_group = c10d._new_process_group_helper

    def make(
        size: Any, rank: Any, ranks: Any, said: Any, store: Any, name: Any, **keywords: Any
    ) -> Any:
        if ranks and rank is None:
            return dist.GroupMember.NON_GROUP_MEMBER, None
        mine = dist.Backend(_pretended(str(said)))
        keywords["backend_options"] = None
        group, store = make_group(size, rank, ranks, mine, store, name, **keywords)
        world = c10d._world
        if group in world.pg_map:
            world.pg_map[group] = (said, world.pg_map[group][1])
            world.pg_backend_config[group] = str(c10d.BackendConfig(said))
        return group, store

    vars(c10d)["_new_process_group_helper"] = make


def _pretended(said: str) -> str:
    """The backends of a group as this process makes them: for the devices that were said."""
    if ":" in said:
        devices = [pair.split(":")[0] for pair in said.split(",")]
        devices = [NAME if device == "cuda" else device for device in devices]
        return ",".join(f"{device}:{BACKEND}" for device in dict.fromkeys(devices))
    if said in ("nccl", "eccl"):
        return f"{NAME}:{BACKEND}"
    return f"cpu:{BACKEND},{NAME}:{BACKEND}"
