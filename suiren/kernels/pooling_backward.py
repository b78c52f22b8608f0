"""Gradients of pooling: every position of the input collects from the windows that cover it.

No atomics: a tile of the input loads the part of the results' gradient whose windows reach it,
and takes, for each window that may cover a position, that window's gradient. Tiles begin at
multiples of the stride, so that the same places serve all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.kernels.gather import NOWHERE
from suiren.kernels.pooling import Two, Windows, affine, plane, window_counts
from suiren.kernels.tiling import compute_format, steps_of


@dataclass(frozen=True, slots=True)
class _Cover:
    """The windows that cover tiles of the input: a tile is `blocks` strides high and wide."""

    windows: Windows
    planes: int
    blocks: Two

    @classmethod
    def of(cls, windows: Windows, shape: tuple[int, ...], tile: int) -> _Cover:
        strides = windows.stride
        units = (shape[0], -(-shape[1] // strides[0]), -(-shape[2] // strides[1]))
        planes, rows, cols = steps_of(units, max(1, tile // (strides[0] * strides[1])))
        return cls(windows, planes, (rows, cols))

    @property
    def tile(self) -> Two:
        """Rows and columns of input in a tile."""
        return self._pair(lambda axis: self.blocks[axis] * self.windows.stride[axis])

    @property
    def covering(self) -> Two:
        """Windows that may cover one position, along rows and columns."""
        w = self.windows
        return self._pair(lambda axis: -(-((w.size[axis] - 1) * w.dilation[axis] + 1)
                                         // w.stride[axis]))  # fmt: skip

    @property
    def results(self) -> Two:
        """Rows and columns of results whose windows reach a tile."""
        w = self.windows
        return self._pair(lambda axis: (self.tile[axis] - 1 + w.padding[axis]) // w.stride[axis]
                          - self.first(axis) + 1)  # fmt: skip

    def first(self, axis: int) -> int:
        """The first of those results, less the number of strides before the tile."""
        return self.windows.padding[axis] // self.windows.stride[axis] + 1 - self.covering[axis]

    @staticmethod
    def _pair(value: Any) -> Two:
        return value(0), value(1)

    def grid(
        self, core: Core, shape: tuple[int, ...], deal: dict[str, Any]
    ) -> Iterator[tuple[tuple[Range, Range, Range], tuple[Range, Range, Range]]]:
        """Positions of each tile of the input, and of the results that reach it."""
        strides = self.windows.stride
        axes = ((-(-n // s), b) for n, s, b in zip(shape[1:], strides, self.blocks, strict=True))
        for a, *units in core.grid((shape[0], self.planes), *axes, **deal):
            own, over = [], []
            for axis, unit in enumerate(units):
                start = unit.start * strides[axis]
                own.append(Range(start, self.tile[axis], 1, start, shape[1 + axis]))
                over.append(Range(unit.start + self.first(axis), self.results[axis]))
            yield (a, own[0], own[1]), (a, over[0], over[1])

    def places(self, core: Core, row: Tile, col: Tile) -> Tile:
        """In the flattened results, the last window that covers each position of the tile."""
        along = []
        for axis, at in enumerate((row, col)):
            place = core.registers(at.shape, "i32")
            core.add(place, at, self.windows.padding[axis])
            core.floor_divide(place, place, self.windows.stride[axis])
            core.sub(place, place, self.first(axis))
            along.append(place)
        return affine(core, along[0], along[1], self.results[1], 1, 0)


@kernel("g T[A,P,Q]; index i64[A,P,Q] -> dx T[A,H,W]", A=8, H=20, W=20, P=10, Q=10, T="f32")
def max_pool_backward(
    core: Core, g: Tensor, index: Tensor, dx: Tensor, size: Two = (2, 2), stride: Two = (2, 2),
    padding: Two = (0, 0), dilation: Two = (1, 1), tile: int = 1024, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The gradient of every window at the place of its largest number."""
    cover = _Cover.of(Windows(size, stride, padding, dilation), dx.shape, tile)
    (rows, cols), (high, wide) = cover.tile, cover.results
    dtype, shape = compute_format(g.dtype), (cover.planes, rows * cols)
    held = core.scratchpad((cover.planes, high * wide), g.dtype, stages)
    places = core.scratchpad((cover.planes, high * wide), index.dtype, stages)
    last, at, where = (core.registers(shape, "i32") for _ in range(3))
    total, value = core.registers(shape, dtype), core.registers(shape, dtype)
    mine = core.registers(shape, "i32")
    out = core.scratchpad(shape, dx.dtype, 2)
    for own, over in cover.grid(core, dx.shape, deal):
        core.load(held, g[over].matrix((0,), (1, 2)))
        core.load(places, index[over].matrix((0,), (1, 2)), pad=NOWHERE)
        row, col = plane(core, rows, cols)
        here = affine(core, row, col, dx.shape[2], 1, own[1].start * dx.shape[2] + own[2].start)
        core.cast(last, cover.places(core, row, col))
        core.fill(total, 0)
        core.wait(held, places)
        for i in core.loop(cover.covering[0]):
            for j in core.loop(cover.covering[1]):
                core.sub(at, last, i * wide + j)
                core.take(where, places, at, axis=1)
                core.take(value, held, at, axis=1)
                core.eq(mine, where, here)
                core.select(value, mine, value, 0)
                core.add(total, total, value)
        core.release(held, places)
        core.acquire(out)
        core.cast(out, total)
        core.store(dx[own].matrix((0,), (1, 2)), out)


@kernel("g T[A,P,Q] -> dx T[A,H,W]", A=8, H=20, W=20, P=10, Q=10, T="f32")
def mean_pool_backward(
    core: Core, g: Tensor, dx: Tensor, size: Two = (2, 2), stride: Two = (2, 2),
    padding: Two = (0, 0), count_padding: bool = True, divisor: int = 0, tile: int = 1024,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """An equal share of the gradient of every window at each of its positions."""
    cover = _Cover.of(Windows(size, stride, padding), dx.shape, tile)
    (rows, cols), (high, wide) = cover.tile, cover.results
    dtype, shape = compute_format(g.dtype), (cover.planes, rows * cols)
    held = core.scratchpad((cover.planes, high * wide), g.dtype, stages)
    shares = core.registers(held.shape, dtype)
    last, at = (core.registers(shape, "i32") for _ in range(2))
    total, value = core.registers(shape, dtype), core.registers(shape, dtype)
    out = core.scratchpad(shape, dx.dtype, 2)
    for own, over in cover.grid(core, dx.shape, deal):
        core.load(held, g[over].matrix((0,), (1, 2)))
        row, col = plane(core, rows, cols)
        core.cast(last, cover.places(core, row, col))
        core.wait(held)
        _share(core, cover, over, shares, held, (dx.shape[1:], g.shape[1:]), count_padding, divisor)
        core.release(held)
        core.fill(total, 0)
        for i in core.loop(cover.covering[0]):
            for j in core.loop(cover.covering[1]):
                core.sub(at, last, i * wide + j)
                core.take(value, shares, at, axis=1)
                _drop_short(core, cover, (row, col), (i, j), value)
                core.add(total, total, value)
        core.acquire(out)
        core.cast(out, total)
        core.store(dx[own].matrix((0,), (1, 2)), out)


def _share(
    core: Core, cover: _Cover, over: tuple[Range, Range, Range], shares: Tile, held: Tile,
    sizes: tuple[tuple[int, ...], tuple[int, ...]], count_padding: bool, divisor: int,
) -> None:  # fmt: skip
    """The gradient of every window divided by what the window counted."""
    at = plane(core, *cover.results)
    counted = divisor or window_counts(core, cover.windows, at, (over[1].start, over[2].start),
                                       sizes, count_padding)  # fmt: skip
    if isinstance(counted, Tile):
        core.div(shares, held, counted)
    else:
        core.mul(shares, held, 1 / counted)


def _drop_short(
    core: Core, cover: _Cover, at: tuple[Tile, Tile], taps: tuple[Index, Index], value: Tile
) -> None:
    """Zero where the window ends before the position; none does if strides divide windows."""
    w = cover.windows
    for axis in (0, 1):
        if w.size[axis] % w.stride[axis] == 0:
            continue
        offset = core.registers(at[axis].shape, "i32")
        inside = core.registers(at[axis].shape, "i32")
        core.add(offset, at[axis], w.padding[axis])
        core.remainder(offset, offset, w.stride[axis])
        core.add(offset, offset, taps[axis] * w.stride[axis])
        core.lt(inside, offset, w.size[axis])
        core.select(value, inside, value, 0)
