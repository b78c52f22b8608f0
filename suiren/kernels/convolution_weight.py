"""The gradient of a convolution by its weight.

For every tap of the window, dw[O,I] is a product of depth N·P·Q: the gradient's positions,
box by box, with the input's shifted by the tap. There are few such products and they are
deep, so the depth is cut: Y parts of the images by Z parts of the first spatial dimension
are summed apart in f32, as `part[Y,Z,taps,O,I]`, then added up and written as the weight lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from suiren.core.index import Index, Range, index
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.convolution import (
    SPATIAL,
    Pair,
    Ranges,
    Sizes,
    channel_rows,
    facing,
    in_dimensions,
    per_group,
    slab,
)
from suiren.kernels.convolution_axes import Window, box, channels_second, nest, read
from suiren.kernels.matmul import accumulate, hand_over, sum_format
from suiren.kernels.matmul_split import run_of


def weight_gradient(
    core: Core, dy: Tensor, x: Tensor, part: Tensor, dw: Tensor, *, last: bool = False,
    stride: Sizes = 1, padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1, tm: int = 128,
    tn: int = 128, pixels: int = 32, stages: int = 3, sums: int = 1, multiply: str = "",
    resident: int = 1, fresh: bool = False,
) -> None:  # fmt: skip
    """`dw[O,C/groups,…]` from `dy[N,O,…]` and `x[N,C,…]`, in `tm` by `tn` channels."""
    if last:
        dy, x, dw = (channels_second(t) for t in (dy, x, dw))
    outer, inner = per_group(x, dw, dy, groups)
    (axes,) = Window.of(dw.shape[2:], stride, padding, dilation).forward(dy.shape[2:])
    tm, tn = min(tm, outer), min(tn, inner)
    tile = box(pixels, (dy.shape[0], *dy.shape[2:]))
    rows = core.scratchpad(facing(last, tm, prod(tile)), multiply or dy.dtype, stages)
    cols = core.scratchpad(facing(last, tn, prod(tile)), multiply or x.dtype, stages)
    acc = core.registers((tm, tn), sum_format(dy.dtype), sums)
    out = core.scratchpad((tm, tn), part.dtype)
    matrix = channel_rows(last, len(x.shape))

    def pair(g: Index, o: Range, i: Range, taps: Sequence[Index], n: Range, q: Ranges) -> Pair:
        above = dy[(n, o + g * outer, *q)].matrix(*matrix)
        return above, x[(n, i + g * inner, *read(axes, q, taps))].matrix(*matrix)

    parts, channels = part.shape[:2], ((outer, tm), (inner, tn))
    for y, z, g, *taps, o, i in core.grid(*parts, groups, *dw.shape[2:], *channels,
                                          resident=resident, fresh=fresh):  # fmt: skip
        steps = boxes(core, (dy.shape[0], *dy.shape[2:]), tile, parts, (y, z))
        pieces = (pair(g, o, i, taps, n, q) for n, *q in steps)
        accumulate(core, acc, rows, cols, pieces, "tn" if last else "nt")
        hand_over(core, acc, out, part[(y, z, *taps, o + g * outer, i)])
    core.barrier()
    window = range(2, len(dw.shape))
    add_parts(core, part.permute(0, 1, len(dw.shape), len(dw.shape) + 1, *window), dw)


def boxes(
    core: Core, sizes: Sequence[int], tile: Sequence[int], parts: Sequence[int],
    at: Sequence[Index],
) -> Iterator[tuple[Range, ...]]:  # fmt: skip
    """Loops over the boxes of part `at`; the first two dimensions are cut into `parts`."""
    cut = [run(core, *row) for row in zip(sizes, tile, parts, at, strict=False)]
    uncut = (core.blocks(*pair) for pair in zip(sizes[2:], tile[2:], strict=True))
    return nest(*cut, *uncut)


def run(core: Core, size: int, step: int, parts: int, at: Index) -> Iterator[Range]:
    """A loop over part `at` of `size` positions, in whole steps."""
    length = run_of(size, step, parts)
    start = at * length
    for place in core.blocks(length, step, stop=index(size) - start):
        yield place + start


def add_parts(core: Core, part: Tensor, dw: Tensor, stages: int = 3) -> None:
    """The sum of `part[Y,Z,O,I,…]` over its parts, written to `dw[O,I,…]`."""
    rows, cols = slab(dw.shape, 1024)
    shape = (rows, cols * prod(dw.shape[2:]))
    more = core.scratchpad(shape, part.dtype, stages)
    total = core.registers(shape, part.dtype)
    out = core.scratchpad(shape, dw.dtype, 2)
    window = (slice(None),) * (len(dw.shape) - 2)
    matrix = (0,), tuple(range(1, len(dw.shape)))
    for o, i in core.grid((dw.shape[0], rows), (dw.shape[1], cols)):
        core.fill(total, 0)
        for y, z in nest(core.loop(part.shape[0]), core.loop(part.shape[1])):
            core.load(more, part[(y, z, o, i, *window)].matrix(*matrix))
            core.wait(more)
            core.add(total, total, more)
            core.release(more)
        core.acquire(out)
        core.cast(out, total)
        core.store(dw[(o, i, *window)].matrix(*matrix), out)


def _kernels(name: str, **fixed: bool) -> Iterator[Kernel]:
    """A kernel for one, two and three dimensions."""
    text = "dy T[Y]; x T[X] -> part f32[Y,Z,taps,O,I]; dw T[W]"
    return (in_dimensions(weight_gradient, name, text, d, **fixed) for d in SPATIAL)


weight_gradient_1d, weight_gradient_2d, weight_gradient_3d = _kernels("weight_gradient")
weight_gradient_last_1d, weight_gradient_last_2d, weight_gradient_last_3d = _kernels(
    "weight_gradient_last", last=True
)
