"""The gradient of a depthwise convolution by its weight.

A core loads a box of the result's gradient once, and for every tap the input shifted by it;
their product summed over positions is added to the tap's column of an accumulator. Y parts
of the images by Z parts of the first spatial dimension are summed apart, then added up.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from suiren.core.index import whole
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.convolution import SPATIAL, Sizes, channel_rows, facing, in_dimensions
from suiren.kernels.convolution_axes import Window, box, channels_second, nest, read
from suiren.kernels.convolution_depthwise import multiplier, tap_number
from suiren.kernels.convolution_weight import add_parts, boxes
from suiren.kernels.matmul import hand_over, sum_format


def weight_gradient(
    core: Core, dy: Tensor, x: Tensor, part: Tensor, dw: Tensor, *, last: bool = False,
    stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, channels: int = 16,
    pixels: int = 256, stages: int = 3, resident: int = 1, fresh: bool = False,
) -> None:  # fmt: skip
    """`dw[O,1,…]` from `dy[N,O,…]` and `x[N,C,…]`; a box of `dy` is loaded once for all taps."""
    if last:
        dy, x, dw = (channels_second(t) for t in (dy, x, dw))
    times = multiplier(dw, x.shape[1], dy.shape[1])
    (axes,) = Window.of(dw.shape[2:], stride, padding, dilation).forward(dy.shape[2:])
    channels, taps = min(channels, x.shape[1]), prod(dw.shape[2:])
    tile = box(pixels, (dy.shape[0], *dy.shape[2:]))
    above = core.scratchpad(facing(last, channels, prod(tile)), dy.dtype, 2)
    below = core.scratchpad(above.shape, x.dtype, stages)
    wide = sum_format(x.dtype)
    product = core.registers(above.shape, wide)
    one = core.registers(facing(last, channels, 1), wide)
    numbers, here = (core.registers(facing(last, 1, taps), t) for t in ("i32", wide))
    acc = core.registers(facing(last, channels, taps), wide)
    out = core.scratchpad(acc.shape, part.dtype)
    matrix, along = channel_rows(last, len(x.shape)), 0 if last else 1
    for y, z, c, u in core.grid(*part.shape[:2], (x.shape[1], channels), times,
                                resident=resident, fresh=fresh):  # fmt: skip
        core.acquire(acc)
        core.fill(acc, 0)
        core.iota(numbers, whole(taps), axis=along)
        o = c * times + u
        for n, *q in boxes(core, (dy.shape[0], *dy.shape[2:]), tile, part.shape[:2], (y, z)):
            core.load(above, dy[(n, o, *q)].matrix(*matrix))
            core.wait(above)
            for js in nest(*(core.loop(axis.taps) for axis in axes)):
                core.load(below, x[(n, c, *read(axes, q, js))].matrix(*matrix))
                core.eq(here, numbers, tap_number(dw.shape[2:], js))
                core.wait(below)
                core.mul(product, above, below)
                core.release(below)
                core.row_sum(one, product, axis=along)
                core.fma(acc, one, here, acc)
            core.release(above)
        window = tuple(range(1, len(dw.shape) - 1))
        view = part[(y, z, o, 0, *(slice(None),) * len(window))]
        hand_over(core, acc, out, view.matrix(*((window, (0,)) if last else ((0,), window))))
    core.barrier()
    add_parts(core, part, dw)


def _kernels(name: str, **fixed: bool) -> Iterator[Kernel]:
    """A kernel for one, two and three dimensions."""
    text = "dy T[Y]; x T[X] -> part f32[Y,Z,O,1,taps]; dw T[V]"
    return (in_dimensions(weight_gradient, name, text, d, **fixed) for d in SPATIAL)


depthwise_weight_1d, depthwise_weight_2d, depthwise_weight_3d = _kernels("depthwise_weight")
depthwise_weight_last_1d, depthwise_weight_last_2d, depthwise_weight_last_3d = _kernels(
    "depthwise_weight_last", last=True
)
