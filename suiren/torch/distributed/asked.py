"""What a `c10d` op asks for, in the collectives' own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Asked:
    """A collective: which one, on what, and with whom."""

    name: str
    outputs: list[torch.Tensor]
    inputs: list[torch.Tensor]
    size_bytes: int
    """The large buffer, as `suiren.fleet.collective` counts it."""
    peer: int
    """Root or other end as a global rank, -1 where there is none."""
    is_beside: bool
    """Runs on the group's own stream."""
    result: Any
    """What the work's future holds."""
    pieces: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """Rows that go to each member of the group and that come from each; of an all_to_all."""

    def tensors(self) -> Iterator[torch.Tensor]:
        """Outputs, then inputs."""
        yield from self.outputs
        yield from self.inputs


Given = dict[str, Any]


def _bytes(tensors: Sequence[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def flat(value: Any) -> list[torch.Tensor]:
    """A tensor, or those in lists of lists, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for part in value for t in flat(part)]


def _global(group: Any, rank: int) -> int:
    """A rank of the group as a rank of the world."""
    from suiren.torch.distributed import groups

    return groups.groups[groups.number_of(group)].ranks[rank]


def _make(
    name: str, given: Given, outputs: list[torch.Tensor], inputs: list[torch.Tensor], size: int,
    peer: int = -1, result: Any = None,
) -> Asked:  # fmt: skip
    beside = bool(given.get("async_op", True))
    return Asked(name, outputs, inputs, size, peer, beside, outputs if result is None else result)


def _all_reduce(given: Given, _: Any) -> Asked:
    tensors = given["tensors"]
    return _make("all_reduce", given, tensors, [], _bytes(tensors))


def _rooted(name: str) -> Callable[[Given, Any], Asked]:
    def asked(given: Given, group: Any) -> Asked:
        tensors = given["tensors"]
        root = _global(group, given["root_rank"])
        return _make(name, given, tensors, [], _bytes(tensors), root)

    return asked


def _from_to(name: str, outputs: str, inputs: str) -> Callable[[Given, Any], Asked]:
    """A collective that fills one argument from another; the larger of the two is its buffer."""

    def asked(given: Given, _: Any) -> Asked:
        into, own = flat(given[outputs]), flat(given[inputs])
        size = max(_bytes(into), _bytes(own))
        return _make(name, given, into, own, size, -1, given[outputs])

    return asked


def _all_to_all(given: Given, group: Any) -> Asked:
    into, own = given["output"], given["input"]
    n, size = int(group.size()), max(_bytes([into]), _bytes([own]))
    made = _make("all_to_all", given, [into], [own], size, -1, into)
    sent = _rows(own, given.get("input_split_sizes"), n)
    return replace(made, pieces=(sent, _rows(into, given.get("output_split_sizes"), n)))


def _rows(tensor: torch.Tensor, splits: Sequence[int] | None, n: int) -> tuple[int, ...]:
    """Rows of a tensor for each of `n` members: as given, or as many for each."""
    return tuple(splits) if splits else (len(tensor) // n if tensor.dim() else 0,) * n


def _gather(given: Given, group: Any) -> Asked:
    into = flat(given["output_tensors"])
    own = list(given["input_tensors"])
    size = _bytes(own) * int(group.size())
    return _make("gather", given, into, own, size, _global(group, given["root_rank"]))


def _scatter(given: Given, group: Any) -> Asked:
    into = list(given["output_tensors"])
    own = flat(given["input_tensors"])
    size = _bytes(into) * int(group.size())
    return _make("scatter", given, into, own, size, _global(group, given["root_rank"]))


def _send(given: Given, group: Any) -> Asked:
    tensors = list(given["tensors"])
    return _make("send", given, [], tensors, _bytes(tensors), _global(group, given["dst"]), tensors)


def _recv(given: Given, group: Any) -> Asked:
    tensors = list(given["tensors"])
    source = given.get("src")
    peer = -1 if source is None else _global(group, source)
    return _make("recv", given, tensors, [], _bytes(tensors), peer)


def _barrier(given: Given, _: Any) -> Asked:
    return _make("barrier", given, [given["tensor"]], [], 0)


ASKED: dict[str, Callable[[Given, Any], Asked]] = {
    "allreduce_": _all_reduce,
    "allreduce_coalesced_": _all_reduce,
    "allgather_": _from_to("all_gather", "output_tensors", "input_tensors"),
    "_allgather_base_": _from_to("all_gather", "output_tensor", "input_tensor"),
    "allgather_coalesced_": _from_to("all_gather", "output_lists", "input_list"),
    "allgather_into_tensor_coalesced_": _from_to("all_gather", "outputs", "inputs"),
    "reduce_scatter_": _from_to("reduce_scatter", "output_tensors", "input_tensors"),
    "_reduce_scatter_base_": _from_to("reduce_scatter", "output_tensor", "input_tensor"),
    "reduce_scatter_tensor_coalesced_": _from_to("reduce_scatter", "outputs", "inputs"),
    "alltoall_": _from_to("all_to_all", "output_tensors", "input_tensors"),
    "alltoall_base_": _all_to_all,
    "broadcast_": _rooted("broadcast"),
    "reduce_": _rooted("reduce"),
    "gather_": _gather,
    "scatter_": _scatter,
    "send": _send,
    "recv_": _recv,
    "recv_any_source_": _recv,
    "barrier": _barrier,
}
"""By the name of the `c10d` op."""
