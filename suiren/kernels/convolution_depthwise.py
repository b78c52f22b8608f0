"""Depthwise convolutions: every channel has a window of its own, so the vector engine does them.

A core makes `channels` channels of a box of about `pixels` results. Every tap is one load of
the input shifted by the tap and one fused multiply-add; the weights of all taps are loaded
once a tile. With a multiplier, a channel of the input makes several of the result. The
gradient by the input, which is a depthwise transposed convolution too, runs the window
backwards (see `convolution_axes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.kernels.convolution import SPATIAL, Sizes, channel_rows, facing, in_dimensions
from suiren.kernels.convolution_axes import Window, box, channels_second, nest, read
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import sum_format


def depthwise(
    core: Core, x: Tensor, w: Tensor, y: Tensor, bias: Tensor | None = None, *, last: bool = False,
    adjoint: bool = False, stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1,
    channels: int = 16, pixels: int = 256, stages: int = 3, sums: int = 1,
    resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`y[N,O,…]` from `x[N,C,…]` and `w[O,1,…]`; if `adjoint`, C and O change places."""
    if last:
        x, w, y = (channels_second(t) for t in (x, w, y))
    inputs = (y if adjoint else x).shape[1]
    times = multiplier(w, inputs, (x if adjoint else y).shape[1])
    window = Window.of(w.shape[2:], stride, padding, dilation)
    classes = (window.backward if adjoint else window.forward)(y.shape[2:])
    channels = min(channels, inputs)
    tile = box(pixels, (x.shape[0], *(axis.results for axis in classes[0])))
    data = core.scratchpad(facing(last, channels, prod(tile)), x.dtype, stages)
    acc = core.registers(data.shape, sum_format(x.dtype), sums)
    taps = Taps(core, w, channels, last)
    matrix = channel_rows(last, len(x.shape))
    end = Epilogue(core, acc, y, bias, columns=last, matrix=matrix, **ending)
    for axes in classes:
        sizes = zip((x.shape[0], *(axis.results for axis in axes)), tile, strict=True)
        # results: one after another of an input's, or the sum of them
        apart = () if adjoint else (times,)
        grid = core.grid(*sizes, (inputs, channels), *apart, resident=resident, fresh=fresh)
        for n, *q, c, u in _with_one(grid, adjoint):
            core.acquire(acc)
            core.fill(acc, 0)
            for v in core.loop(times) if adjoint else (u,):
                o = c * times + v
                taps.load(o)
                for js in nest(*(core.loop(axis.taps) for axis in axes)):
                    spot = (n, o if adjoint else c, *read(axes, q, js))
                    core.load(data, x[spot].matrix(*matrix))
                    weight = taps.take([axis.tap(j) for axis, j in zip(axes, js, strict=True)])
                    core.wait(data)
                    core.fma(acc, data, weight, acc)
                    core.release(data)
                core.release(taps.all)
            made = c if adjoint else c * times + u
            places = (axis.write(p) for axis, p in zip(axes, q, strict=True))
            end.store(n, made, *places, along=made)


def _with_one(grid: Iterator[Any], adjoint: bool) -> Iterator[tuple[Any, ...]]:
    for places in grid:
        yield (*places, Index()) if adjoint else places


def multiplier(w: Tensor, inputs: int, results: int) -> int:
    """Results an input channel."""
    if w.shape[1] != 1 or w.shape[0] != results or results % inputs:
        raise KernelMistake(f"a depthwise weight {list(w.shape)} for {inputs} channels in and "
                            f"{results} out; [{results}, 1, …] and a multiple of {inputs} out "
                            "would work")  # fmt: skip
    return results // inputs


class Taps:
    """The weights of some channels for all taps, and the column of one tap."""

    def __init__(self, core: Core, w: Tensor, channels: int, last: bool) -> None:
        self.core, self.w, self.last = core, w, last
        self.all = core.scratchpad(facing(last, channels, prod(w.shape[2:])), w.dtype, 2)
        one = facing(last, channels, 1)
        self.one, self.place = core.registers(one, w.dtype), core.registers(one, "i32")

    def load(self, o: Range) -> None:
        """Loads the weights of channels `o` and waits for them."""
        dims = len(self.w.shape) - 2
        channels, taps = (0,), tuple(range(1, dims + 1))
        groups = (taps, channels) if self.last else (channels, taps)
        view = self.w[(o, 0, *(slice(None),) * dims)].matrix(*groups)
        self.core.load(self.all, view)
        self.core.wait(self.all)

    def take(self, taps: Sequence[Index]) -> Tile:
        """The weights of one tap, a number a channel."""
        self.core.fill(self.place, tap_number(self.w.shape[2:], taps))
        self.core.take(self.one, self.all, self.place, axis=0 if self.last else 1)
        return self.one


def tap_number(sizes: Sequence[int], taps: Sequence[Index]) -> Index:
    """The number of a tap in the window, row by row."""
    number = Index()
    for size, tap in zip(sizes, taps, strict=True):
        number = number * size + tap
    return number


def _kernels(name: str, text: str, **fixed: bool) -> Iterator[Kernel]:
    """A kernel for one, two and three dimensions."""
    return (in_dimensions(depthwise, name, text, d, **fixed) for d in SPATIAL)


_FORWARD, _BACK = "x T[X]; w T[V] -> y T[Y]", "x T[Y]; w T[V] -> y T[X]"
_BIAS = "x T[X]; w T[V]; bias T[O] -> y T[Y]"

depthwise_1d, depthwise_2d, depthwise_3d = _kernels("depthwise", _FORWARD)
depthwise_bias_1d, depthwise_bias_2d, depthwise_bias_3d = _kernels("depthwise_bias", _BIAS)
depthwise_last_1d, depthwise_last_2d, depthwise_last_3d = _kernels(
    "depthwise_last", _FORWARD, last=True
)
depthwise_last_bias_1d, depthwise_last_bias_2d, depthwise_last_bias_3d = _kernels(
    "depthwise_last_bias", _BIAS, last=True
)
depthwise_transposed_1d, depthwise_transposed_2d, depthwise_transposed_3d = _kernels(
    "depthwise_transposed", _BACK, adjoint=True
)
depthwise_transposed_last_1d, depthwise_transposed_last_2d, depthwise_transposed_last_3d = _kernels(
    "depthwise_transposed_last", _BACK, adjoint=True, last=True
)
