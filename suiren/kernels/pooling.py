"""Pooling in two dimensions: largest, mean and sum over windows that slide.

The part of the input under a tile of results is loaded once, edges padded, as rows of one
plane each; every position of the window is then a `take` from it, so that windows that overlap
cost no second load. The places are those of the tile's first window plus the position's own.
Backward kernels are in `pooling_backward.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.kernels.folding import neutral
from suiren.kernels.tiling import compute_format, steps_of

Two = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over a plane: rows first in every pair."""

    size: Two
    stride: Two
    padding: Two
    dilation: Two = (1, 1)

    def under(self, rows: int, cols: int) -> Two:
        """Rows and columns of input under so many rows and columns of results."""
        high, wide = ((n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(
            (rows, cols), self.stride, self.size, self.dilation, strict=True))  # fmt: skip
        return high, wide

    def start(self, place: Range, axis: int) -> Index:
        """Where in the input the first window of a range of results begins."""
        return place.start * self.stride[axis] - self.padding[axis]


def plane(core: Core, rows: int, cols: int) -> tuple[Tile, Tile]:
    """Row and column of every place of a flattened tile of rows and columns."""
    row, col = (core.registers((1, rows * cols), "i32") for _ in range(2))
    core.iota(row, Range(Index(0), rows * cols), axis=1)
    core.remainder(col, row, cols)
    core.floor_divide(row, row, cols)
    return row, col


def affine(core: Core, row: Tile, col: Tile, of_row: int, of_col: int, offset: int | Index) -> Tile:
    """The tile `row·of_row + col·of_col + offset`."""
    made = core.registers(row.shape, "i32")
    core.fma(made, col, of_col, offset)
    core.fma(made, row, of_row, made)
    return made


@kernel("x T[A,H,W] -> y T[A,P,Q]; index i64[A,P,Q]", A=8, H=20, W=20, P=10, Q=10, T="f32")
def max_pool(
    core: Core, x: Tensor, y: Tensor, index: Tensor, size: Two = (2, 2), stride: Two = (2, 2),
    padding: Two = (0, 0), dilation: Two = (1, 1), tile: int = 1024, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The largest under every window, and its place in the input's plane."""
    windows = Windows(size, stride, padding, dilation)
    ta, tp, tq = steps_of(y.shape, tile)
    high, wide = windows.under(tp, tq)
    wide_x = x.shape[2]
    dtype, shape = compute_format(x.dtype), (ta, tp * tq)
    held = core.scratchpad((ta, high * wide), x.dtype, stages)
    first, at, where = (core.registers(shape, "i32") for _ in range(3))
    best, value = core.registers(shape, dtype), core.registers(shape, dtype)
    larger = core.registers(shape, "i32")
    out, place = core.scratchpad(shape, y.dtype, 2), core.scratchpad(shape, "i64", 2)
    for a, p, q in core.grid(*zip(y.shape, (ta, tp, tq), strict=True), **deal):
        top, left = windows.start(p, 0), windows.start(q, 1)
        core.load(held, x[a, Range(top, high), Range(left, wide)].matrix((0,), (1, 2)),
                  pad=neutral("max", x.dtype))  # fmt: skip
        row, col = plane(core, tp, tq)
        core.cast(first, affine(core, row, col, stride[0] * wide, stride[1], 0))
        core.fill(best, neutral("max", dtype))
        core.fill(where, 0)
        core.wait(held)
        for i in core.loop(size[0]):
            for j in core.loop(size[1]):
                core.add(at, first, i * (dilation[0] * wide) + j * dilation[1])
                core.take(value, held, at, axis=1)
                core.gt(larger, value, best)
                core.select(best, larger, value, best)
                core.select(where, larger, i * (dilation[0] * wide_x) + j * dilation[1], where)
        core.release(held)
        core.acquire(out, place)
        core.cast(out, best)
        start = affine(core, row, col, stride[0] * wide_x, stride[1], top * wide_x + left)
        core.add(place, where, start)
        core.store(y[a, p, q].matrix((0,), (1, 2)), out)
        core.store(index[a, p, q].matrix((0,), (1, 2)), place)


@kernel("x T[A,H,W] -> y T[A,P,Q]", A=8, H=20, W=20, P=10, Q=10, T="f32")
def mean_pool(
    core: Core, x: Tensor, y: Tensor, size: Two = (2, 2), stride: Two = (2, 2),
    padding: Two = (0, 0), count_padding: bool = True, divisor: int = 0, tile: int = 1024,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The mean under every window; with a `divisor` of 1 the sum, as nearest upsampling needs."""
    windows = Windows(size, stride, padding)
    ta, tp, tq = steps_of(y.shape, tile)
    high, wide = windows.under(tp, tq)
    dtype, shape = compute_format(x.dtype), (ta, tp * tq)
    held = core.scratchpad((ta, high * wide), x.dtype, stages)
    first, at = (core.registers(shape, "i32") for _ in range(2))
    total, value = core.registers(shape, dtype), core.registers(shape, dtype)
    out = core.scratchpad(shape, y.dtype, 2)
    for a, p, q in core.grid(*zip(y.shape, (ta, tp, tq), strict=True), **deal):
        top, left = windows.start(p, 0), windows.start(q, 1)
        core.load(held, x[a, Range(top, high), Range(left, wide)].matrix((0,), (1, 2)))
        row, col = plane(core, tp, tq)
        core.cast(first, affine(core, row, col, stride[0] * wide, stride[1], 0))
        core.fill(total, 0)
        core.wait(held)
        for i in core.loop(size[0]):
            for j in core.loop(size[1]):
                core.add(at, first, i * wide + j)
                core.take(value, held, at, axis=1)
                core.add(total, total, value)
        core.release(held)
        core.acquire(out)
        counted = divisor or window_counts(
            core, windows, (row, col), (p.start, q.start), (x.shape[1:], y.shape[1:]), count_padding
        )
        if isinstance(counted, Tile):
            core.div(out, total, counted)
        else:
            core.mul(out, total, 1 / counted)
        core.store(y[a, p, q].matrix((0,), (1, 2)), out)


def window_counts(
    core: Core, windows: Windows, at: tuple[Tile, Tile], start: tuple[Index, Index],
    sizes: tuple[tuple[int, ...], tuple[int, ...]], count_padding: bool,
) -> Tile | int:  # fmt: skip
    """What the sums of windows are divided by: one number if all windows lie inside.

    `at` are rows and columns in a tile of results that begins at `start`; `sizes` are those
    of the input and of the results.
    """
    whole = windows.size[0] * windows.size[1]
    given, made = sizes
    room = [n + 2 * p if count_padding else n for n, p in zip(given, windows.padding, strict=True)]
    reach = windows.under(made[0], made[1])
    if all(r <= n for r, n in zip(reach, room, strict=True)) and (
        count_padding or windows.padding == (0, 0)
    ):
        return whole
    counts = []
    for axis in (0, 1):
        low, high = (core.registers(at[axis].shape, "i32") for _ in range(2))
        stride, pad = windows.stride[axis], windows.padding[axis]
        core.fma(low, at[axis], stride, start[axis] * stride - pad)
        core.add(high, low, windows.size[axis])
        core.minimum(high, high, given[axis] + (pad if count_padding else 0))
        if not count_padding:
            core.maximum(low, low, 0)
        core.sub(high, high, low)
        counts.append(high)
    core.mul(counts[0], counts[0], counts[1])
    core.maximum(counts[0], counts[0], 1)
    return counts[0]
