"""What a collective leaves behind if every other rank holds what this one holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from suiren.torch.distributed import reduction

Tensors = Sequence[torch.Tensor]
Echo = Callable[[Tensors, Tensors, int, int, str], None]
"""Fills the outputs from (outputs, inputs, ranks of the group, my rank there, reduction)."""


def _all_reduce(outputs: Tensors, _: Tensors, size: int, me: int, op: str) -> None:
    for tensor in outputs:
        tensor.copy_(reduction.of_equal_values(tensor, op, size))


def _all_gather(outputs: Tensors, inputs: Tensors, size: int, me: int, op: str) -> None:
    if len(outputs) == len(inputs):
        for whole, part in zip(outputs, inputs, strict=True):
            whole.view(size, -1).copy_(part.reshape(1, -1).expand(size, -1))
        return
    for index, whole in enumerate(outputs):
        whole.copy_(inputs[index % len(inputs)].view_as(whole))


def _reduce_scatter(outputs: Tensors, inputs: Tensors, size: int, me: int, op: str) -> None:
    for index, part in enumerate(outputs):
        if len(inputs) == len(outputs):
            mine = inputs[index].reshape(size, -1)[me].view_as(part)
        else:
            mine = inputs[index * size + me]
        part.copy_(reduction.of_equal_values(mine, op, size))


def _all_to_all(outputs: Tensors, inputs: Tensors, size: int, me: int, op: str) -> None:
    if len(outputs) == len(inputs) == 1 and size > 1:
        even = inputs[0].shape[0] if inputs[0].ndim else 0
        step = even // size
        mine = inputs[0][step * me : step * (me + 1)].reshape(-1)
        _repeat(outputs[0], mine if mine.numel() else inputs[0].reshape(-1))
        return
    for part in outputs:
        _repeat(part, inputs[me].reshape(-1))


def _repeat(into: torch.Tensor, values: torch.Tensor) -> None:
    """Fills a tensor with values, repeated or cut to its size."""
    count = into.numel()
    if not count or not values.numel():
        return
    times = -(-count // values.numel())
    into.copy_(values.repeat(times)[:count].view(into.shape))


def _gather(outputs: Tensors, inputs: Tensors, size: int, me: int, op: str) -> None:
    for part in outputs:
        part.copy_(inputs[0].view_as(part))


def _nothing(outputs: Tensors, inputs: Tensors, size: int, me: int, op: str) -> None:
    """Nothing is moved."""


ECHO: dict[str, Echo] = {
    "all_reduce": _all_reduce,
    "reduce": _all_reduce,
    "all_gather": _all_gather,
    "reduce_scatter": _reduce_scatter,
    "all_to_all": _all_to_all,
    "gather": _gather,
    "barrier": _nothing,
}
"""By the name of the collective; those that have a sender are not here."""
