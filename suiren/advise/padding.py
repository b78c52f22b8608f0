"""Sizes made a multiple of 16 bytes, so that rows of products are read with wide accesses."""

from __future__ import annotations

from suiren.advise.asked import Asked
from suiren.advise.rewrite import map_ops, map_tensors, recall
from suiren.mapper.families.matmul import row_of
from suiren.mapper.work import WIDE_BYTES
from suiren.trace.call import Tensor


def odd_sizes(asked: Asked) -> dict[int, int]:
    """Row lengths of 16-bit products that are no multiple of 16 bytes, and the next that are."""
    found = set()
    for ask in asked.ops():
        product = ask.work.kernels[0].product if ask.work.kernels else None
        if ask.work.family != "matmul" or product is None or product.grain_bytes >= WIDE_BYTES:
            continue
        for tensor in (*ask.call.inputs(), *ask.call.results()):
            length = row_of(tensor)
            if tensor.itemsize_bytes == 2 and length * 2 % WIDE_BYTES:
                found.add(length)
    step = WIDE_BYTES // 2
    return {n: -(-n // step) * step for n in sorted(found, reverse=True)}


def pad(asked: Asked, sizes: dict[int, int]) -> Asked | None:
    """Every dimension of a size given by `sizes` made as long as that says."""
    if not sizes:
        return None

    def padded(tensor: Tensor) -> Tensor:
        if not sizes.keys() & set(tensor.shape):
            return tensor
        shape = tuple(sizes.get(n, n) for n in tensor.shape)
        strides = tensor.strides and tuple(_longer(s, sizes) for s in tensor.strides)
        return Tensor(tensor.dtype, shape, strides, tensor.on_host)

    return map_ops(asked, lambda ask: recall(ask, map_tensors(ask.call, padded)))


def _longer(stride: int, sizes: dict[int, int]) -> int:
    for old, new in sizes.items():
        if stride and stride % old == 0:
            return stride // old * new
    return stride
