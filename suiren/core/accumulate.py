"""A product summed in an engine's own order and width, to the bit.

The accumulator takes a block of products a step, blocks one after the other along the sum.
Either each addition is rounded for itself (a block of one), or the block's products and the
accumulator are aligned to the largest of them, what falls below the kept bits is cut off, and
the exact sum of what is left is cut to the accumulator's width.
"""

from __future__ import annotations

import numpy as np

from suiren.core.instruction import Array
from suiren.hw.accumulate import Accumulation

#: Elements of one slab of partial products.
_SLAB = 1 << 21


def product(a: Array, b: Array, how: Accumulation) -> Array:
    """`a [M, K] @ b [K, N]` as the engine sums it, float64 values of the accumulator.

    Operands hold values of formats of at most 12 significant bits (FP16, BF16, TF32, FP8), so
    that every product is exact. Raises ValueError for shapes that do not meet.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"shapes {a.shape} and {b.shape} are no product")
    rows = max(1, _SLAB // max(1, b.shape[1] * (int(how.block_k) + 1)))
    parts = [_slab(a[i : i + rows], b, how) for i in range(0, a.shape[0], rows)]
    return np.concatenate(parts) if parts else np.zeros((0, b.shape[1]))


def _slab(a: Array, b: Array, how: Accumulation) -> Array:
    total = np.zeros((a.shape[0], b.shape[1]))
    block = int(how.block_k)
    for k in range(0, a.shape[1], block):
        terms = a[:, None, k : k + block] * b.T[None, :, k : k + block]
        terms = np.concatenate([total[:, :, None], terms], axis=2)
        if how.aligned_bits:
            terms = _aligned(terms, int(how.aligned_bits))
        total = _cut(terms.sum(axis=2), int(how.mantissa_bits), how.truncates)
    return total


def _aligned(terms: Array, bits: int) -> Array:
    """Terms without what lies more than `bits` below the leading bit of the largest."""
    largest = np.abs(terms).max(axis=2, keepdims=True)
    exponent = np.frexp(np.where(largest == 0, 1.0, largest))[1] - 1
    quantum = np.ldexp(1.0, exponent - bits)
    return np.asarray(np.trunc(terms / quantum) * quantum)


def _cut(values: Array, mantissa_bits: int, truncates: bool) -> Array:
    """Values with so many bits after the leading one; FP32's range of exponents."""
    exponent = np.frexp(np.where(values == 0, 1.0, values))[1] - 1
    quantum = np.ldexp(1.0, np.maximum(exponent, -126) - mantissa_bits)
    steps = values / quantum
    return np.asarray((np.trunc(steps) if truncates else np.rint(steps)) * quantum)
