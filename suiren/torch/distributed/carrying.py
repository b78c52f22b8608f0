"""Moving what gloo lacks, reductions and formats, by those it has.

A premultiplied sum is a sum of scaled values, an average of whole numbers a sum divided. A
format that gloo does not know is moved as bytes, or summed in FP32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist

from suiren.torch.distributed import reduction
from suiren.torch.distributed.asked import flat

ReduceOp = dist.ReduceOp

#: Formats that gloo reduces.
_REDUCED = {
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.uint8,
    torch.int32, torch.int64,
}  # fmt: skip


def carried(tensor: torch.Tensor, reduces: bool) -> torch.Tensor:
    """What gloo moves in place of a tensor; the tensor itself where gloo knows its format."""
    if not reduces:
        return tensor if tensor.dtype in _REDUCED else _as_bytes(tensor)
    if tensor.dtype in _REDUCED:
        return tensor
    if tensor.is_complex():
        return torch.view_as_real(tensor)
    return tensor.to(torch.uint8 if tensor.dtype == torch.bool else torch.float32)


def _as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's memory as bytes; gloo asks for contiguous tensors anyway."""
    flat = tensor.contiguous().view(-1) if tensor.dim() == 0 else tensor.contiguous()
    return flat.view(torch.uint8)


def bring_back(tensor: torch.Tensor, carrier: torch.Tensor) -> None:
    """Fills a tensor from what was moved in its place."""
    if carrier is tensor or carrier.data_ptr() == tensor.data_ptr():
        return
    if carrier.dtype == torch.uint8 and tensor.dtype != torch.bool:
        carrier = carrier.view(tensor.dtype)
    tensor.copy_(carrier.reshape(tensor.shape))


def sum_instead(given: list[Any], op: str, group: Any) -> bool:
    """Does a reducing `c10d` op by a sum if gloo refuses its reduction; tells whether it did.

    `given` holds the op's arguments, `op` is its name, `group` the group of host tensors.
    """
    if reduction.said() == "PREMUL_SUM":
        _sum_scaled(given, op, group, reduction.asked().factor)
        return True
    if reduction.said() == "AVG" and not flat(given[0])[0].is_floating_point():
        _sum_scaled(given, op, group, None)
        return True
    return False


def _sum_scaled(given: list[Any], op: str, group: Any, factor: Any) -> None:
    """The sum of values times a factor; for a factor of None their average in whole numbers."""
    into, source = given[0], given[1] if "scatter" in op else given[0]
    if factor is not None and source is into:
        for tensor in flat(source):
            tensor.mul_(factor)
    elif factor is not None:
        source = _alike(source, iter([tensor * factor for tensor in flat(source)]))
    _SUMS[op](group, given, source).wait()
    if factor is None:
        for tensor in flat(into):
            tensor.floor_divide_(group.size())


def _alike(thing: Any, values: Any) -> Any:
    """The values in the shape of a tensor, a list, or a list of lists."""
    if isinstance(thing, torch.Tensor):
        return next(values)
    return [_alike(part, values) for part in thing]


def _options(kind: Any, **fields: Any) -> Any:
    options = kind()
    options.reduceOp = ReduceOp.SUM
    for name, value in fields.items():
        setattr(options, name, value)
    return options


_Sum = Callable[[Any, Sequence[Any], Any], Any]
_SUMS: dict[str, _Sum] = {
    "allreduce_": lambda group, _, x: group.allreduce(x, _options(dist.AllreduceOptions)),
    "allreduce_coalesced_": lambda group, _, x: group.allreduce_coalesced(
        x, _options(dist.AllreduceCoalescedOptions)
    ),
    "reduce_": lambda group, given, x: group.reduce(
        x, _options(dist.ReduceOptions, rootRank=given[3], rootTensor=given[4])
    ),
    "reduce_scatter_": lambda group, given, x: group.reduce_scatter(
        given[0], x, _options(dist.ReduceScatterOptions)
    ),
    "_reduce_scatter_base_": lambda group, given, x: group._reduce_scatter_base(
        given[0], x, _options(dist.ReduceScatterOptions)
    ),
    "reduce_scatter_tensor_coalesced_": lambda group, given, x: (
        group.reduce_scatter_tensor_coalesced(given[0], x, _options(dist.ReduceScatterOptions))
    ),
}
"""Summing by name of the `c10d` op: (group, the op's arguments, values) -> work."""
