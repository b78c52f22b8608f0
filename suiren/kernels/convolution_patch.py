"""Convolutions of few input channels, whose matrix operand is put together in the scratchpad.

With three channels, one tap's worth of input is too shallow a product. Here a core loads the
whole patch of input under its box of results once, and its vector engine takes from it the
matrix of (channel, tap) by position, about `tk` deep, for the matrix engine. The weight needs
no packing: a row of [O, I·R·S] lies together in memory. The gradient by the weight is made
the same way. Groups of few channels and patch embeddings profit alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from suiren.core.index import Index, Range, whole
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile, View
from suiren.kernels.convolution import (
    SPATIAL,
    Sizes,
    channel_rows,
    facing,
    in_dimensions,
    per_group,
)
from suiren.kernels.convolution_axes import Window, box, channels_second
from suiren.kernels.convolution_weight import add_parts, boxes
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import hand_over, sum_format


class Patch:
    """The input under a box of results, and the matrix [channels·taps, positions] taken from it."""

    def __init__(
        self, core: Core, x: Tensor, window: Window, tile: Sequence[int], channels: int, stages: int
    ) -> None:
        self.core, self.x, self.window, self.tile, self.channels = core, x, window, tile, channels
        rows = zip(tile[1:], window.stride, window.taps, window.dilation, strict=True)
        self.sizes = [(n - 1) * step + (taps - 1) * far + 1 for n, step, taps, far in rows]
        patch = tile[0] * channels * prod(self.sizes)
        self.depth, self.pixels = channels * prod(window.taps), prod(tile)
        self.patch = core.scratchpad((1, patch), x.dtype, stages)
        self.columns = core.scratchpad((self.depth, self.pixels), x.dtype, 2)
        self.places = core.registers((self.depth, self.pixels), "i32")
        self.downs = [core.registers((self.depth, 1), "i32") for _ in range(3)]
        self.acrosses = [core.registers((1, self.pixels), "i32") for _ in range(3)]

    def locate(self) -> None:
        """Once a tile: where in the patch every element of the matrix lies."""
        far = [prod(self.sizes[d + 1 :]) for d in range(len(self.sizes))]
        image = prod(self.sizes)
        taps = [f * d for f, d in zip(far, self.window.dilation, strict=True)]
        steps = [f * s for f, s in zip(far, self.window.stride, strict=True)]
        self.core.iota(self.downs[0], whole(self.depth), axis=0)
        self.core.iota(self.acrosses[0], whole(self.pixels), axis=1)
        down = spread(self.core, self.downs, (self.channels, *self.window.taps), (image, *taps))
        across = spread(self.core, self.acrosses, self.tile, (self.channels * image, *steps))
        self.core.add(self.places, down, across)

    def load(self, n: Range, c: Range, q: Sequence[Range]) -> None:
        """Starts to load the input under results at images `n` and positions `q`."""
        rows = zip(q, self.window.stride, self.window.padding, self.sizes, strict=True)
        at = [Range(p.start * step - pad, size) for p, step, pad, size in rows]
        dims = range(len(self.x.shape))
        self.core.load(self.patch, self.x[(n, c, *at)].matrix((), tuple(dims)))

    def matrix(self) -> Tile:
        """The matrix of the patch that arrives next; to be released after its last use."""
        self.core.wait(self.patch)
        self.core.acquire(self.columns)
        self.core.take(self.columns, self.patch, self.places, axis=1)
        self.core.release(self.patch)
        return self.columns


def spread(core: Core, tiles: list[Tile], sizes: Sequence[int], steps: Sequence[int]) -> Tile:
    """Σ coordinate · step of every number in the first tile, which counts through a box."""
    number, digit, total = tiles
    core.fill(total, 0)
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        core.remainder(digit, number, size)
        core.fma(total, digit, step, total)
        core.floor_divide(number, number, size)
    return total


def convolve(
    core: Core, x: Tensor, w: Tensor, y: Tensor, bias: Tensor | None = None, *, last: bool = False,
    stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1, tm: int = 128,
    tk: int = 64, pixels: int = 128, stages: int = 2, sums: int = 1, resident: int = 1,
    fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`y[N,O,…]` from `x[N,C,…]` and `w[O,C/groups,…]`."""
    if last:
        x, w, y = (channels_second(t) for t in (x, w, y))
    outer, inner = per_group(x, w, y, groups)
    window = Window.of(w.shape[2:], stride, padding, dilation)
    tm, channels = min(tm, outer), max(1, min(inner, tk // prod(window.taps)))
    tile = box(pixels, (x.shape[0], *y.shape[2:]))
    patch = Patch(core, x, window, tile, channels, stages)
    weights = core.scratchpad((tm, patch.depth), w.dtype, stages)
    acc = core.registers(facing(last, tm, patch.pixels), sum_format(x.dtype), sums)
    matrix = channel_rows(last, len(x.shape))
    end = Epilogue(core, acc, y, bias, columns=last, matrix=matrix, **ending)
    sizes = zip((x.shape[0], *y.shape[2:]), tile, strict=True)
    for g, n, *q, m in core.grid(groups, *sizes, (outer, tm), resident=resident, fresh=fresh):
        core.acquire(acc)
        core.fill(acc, 0)
        patch.locate()
        for c in core.blocks(inner, channels):
            patch.load(n, c + g * inner, q)
            core.load(weights, weight_rows(w, m + g * outer, c))
            columns = patch.matrix()
            core.wait(weights)
            if last:
                core.matmul(acc, columns, weights, transpose_x=True, transpose_y=True)
            else:
                core.matmul(acc, weights, columns)
            core.release(weights, columns)
        end.store(n, m + g * outer, *q, along=m + g * outer)


def weight_rows(w: Tensor, o: Range, c: Range, *lead: Index) -> View:
    """The piece [o, c·taps] of a weight [O,I,…]."""
    dims = len(w.shape) - len(lead)
    taps = (slice(None),) * (dims - 2)
    return w[(*lead, o, c, *taps)].matrix((0,), tuple(range(1, dims)))


def weight_gradient(
    core: Core, dy: Tensor, x: Tensor, part: Tensor, dw: Tensor, *, last: bool = False,
    stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1, tm: int = 128,
    tn: int = 128, pixels: int = 64, stages: int = 2, sums: int = 1,
    resident: int = 1, fresh: bool = False,
) -> None:  # fmt: skip
    """`dw[O,C/groups,…]` from `dy[N,O,…]` and `x[N,C,…]`, parts as in `convolution_weight`."""
    if last:
        dy, x, dw = (channels_second(t) for t in (dy, x, dw))
    outer, inner = per_group(x, dw, dy, groups)
    window = Window.of(dw.shape[2:], stride, padding, dilation)
    tm, channels = min(tm, outer), max(1, min(inner, tn // prod(window.taps)))
    tile = box(pixels, (dy.shape[0], *dy.shape[2:]))
    patch = Patch(core, x, window, tile, channels, stages)
    rows = core.scratchpad(facing(last, tm, patch.pixels), dy.dtype, stages)
    acc = core.registers((tm, patch.depth), sum_format(dy.dtype), sums)
    out = core.scratchpad((tm, patch.depth), part.dtype)
    matrix = channel_rows(last, len(x.shape))
    parts = part.shape[:2]
    for y, z, g, o, c in core.grid(*parts, groups, (outer, tm), (inner, channels),
                                   resident=resident, fresh=fresh):  # fmt: skip
        core.acquire(acc)
        core.fill(acc, 0)
        patch.locate()
        for n, *q in boxes(core, (dy.shape[0], *dy.shape[2:]), tile, parts, (y, z)):
            patch.load(n, c + g * inner, q)
            core.load(rows, dy[(n, o + g * outer, *q)].matrix(*matrix))
            columns = patch.matrix()
            core.wait(rows)
            core.matmul(acc, rows, columns, transpose_x=last, transpose_y=True)
            core.release(rows, columns)
        hand_over(core, acc, out, weight_rows(part, o + g * outer, c, y, z))
    core.barrier()
    add_parts(core, part, dw)


def _kernels(name: str, bias: str = "", **fixed: bool) -> Iterator[Kernel]:
    """A kernel for one, two and three dimensions."""
    text = f"x T[X]; w T[W]{bias} -> y T[Y]"
    return (in_dimensions(convolve, name, text, d, **fixed) for d in SPATIAL)


def _gradients(name: str, **fixed: bool) -> Iterator[Kernel]:
    text = "dy T[Y]; x T[X] -> part f32[Y,Z,O,I,taps]; dw T[W]"
    return (in_dimensions(weight_gradient, name, text, d, **fixed) for d in SPATIAL)


_BIAS = "; bias T[O]"

patch_1d, patch_2d, patch_3d = _kernels("patch")
patch_bias_1d, patch_bias_2d, patch_bias_3d = _kernels("patch_bias", _BIAS)
patch_last_1d, patch_last_2d, patch_last_3d = _kernels("patch_last", last=True)
patch_last_bias_1d, patch_last_bias_2d, patch_last_bias_3d = _kernels(
    "patch_last_bias", _BIAS, last=True
)
patch_weight_1d, patch_weight_2d, patch_weight_3d = _gradients("patch_weight")
patch_weight_last_1d, patch_weight_last_2d, patch_weight_last_3d = _gradients(
    "patch_weight_last", last=True
)
