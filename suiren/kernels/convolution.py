"""Convolutions in one to three dimensions, their gradient by the input, transposed ones.

A convolution is a matrix product whose one operand is gathered in flight (implicit GEMM): a
core makes `tm` channels by a box of about `pixels` positions of the result. For every tap
of the window and every `tk` channels of the input it loads the box shifted by the tap. The
gradient by the input, which is a transposed convolution too, is the same sum with the
window run backwards; see `convolution_axes`.

Tensors are [N,C,…], or [N,…,C] in the kernels called `_last`. A weight [O,I,R,S] has its
taps innermost, so that one tap of it is scattered over memory: the `_packed` kernels first
write it as [R,S,O,I], which pays for windows larger than one tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, View
from suiren.kernels.convolution_axes import Axis, Window, box, channels_second, nest, read
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import accumulate, sum_format
from suiren.kernels.variant import variant

Sizes = int | Sequence[int]
Axes = tuple[Axis, ...]
Ranges = Sequence[Range]
Pair = tuple[View, View]


def convolve(
    core: Core, x: Tensor, w: Tensor, y: Tensor, bias: Tensor | None = None,
    packed: Tensor | None = None, *, last: bool = False, adjoint: bool = False, stride: Sizes = 1,
    padding: Sizes = 0, dilation: Sizes = 1, groups: int = 1, tm: int = 128, tk: int = 32,
    pixels: int = 128, stages: int = 3, sums: int = 1, multiply: str = "",
    resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`y[N,O,…]` from `x[N,C,…]` and `w[O,C/groups,…]`; if `adjoint`, C and O change places."""
    if last:
        x, w, y = (channels_second(t) for t in (x, w, y))
    outer, inner = per_group(x, w, y, groups, adjoint)
    if packed is not None:
        w = pack(core, w, packed)
    window = Window.of(w.shape[2:], stride, padding, dilation)
    classes = (window.backward if adjoint else window.forward)(y.shape[2:])
    made, depth = (inner, outer) if adjoint else (outer, inner)
    tm, tk = min(tm, made), min(tk, depth)
    tile = box(pixels, (x.shape[0], *(axis.results for axis in classes[0])))
    data = core.scratchpad(facing(last, tk, prod(tile)), multiply or x.dtype, stages)
    taken = core.scratchpad((tk, tm) if adjoint else (tm, tk), multiply or w.dtype, stages)
    acc = core.registers(facing(last, tm, prod(tile)), sum_format(x.dtype), sums)
    matrix = channel_rows(last, len(x.shape))
    end = Epilogue(core, acc, y, bias, columns=last, matrix=matrix, **ending)

    def pair(axes: Axes, g: Index, n: Range, q: Ranges, m: Range, js: Any, k: Range) -> Pair:
        taps = [axis.tap(j) for axis, j in zip(axes, js, strict=True)]
        o, i = (k, m) if adjoint else (m, k)
        gathered = x[(n, k + g * depth, *read(axes, q, js))].matrix(*matrix)
        weights = w[(o + g * outer, i, *taps)]
        return (gathered, weights) if last else (weights, gathered)

    layout = "nn" if last == adjoint else "nt" if last else "tn"
    for axes in classes:
        sizes = zip((x.shape[0], *(axis.results for axis in axes)), tile, strict=True)
        for g, n, *q, m in core.grid(groups, *sizes, (made, tm), resident=resident, fresh=fresh):
            steps = nest(*(core.loop(axis.taps) for axis in axes), core.blocks(depth, tk))
            pieces = (pair(axes, g, n, q, m, js, k) for *js, k in steps)
            accumulate(core, acc, *((data, taken) if last else (taken, data)), pieces, layout)
            places = (axis.write(p) for axis, p in zip(axes, q, strict=True))
            end.store(n, m + g * made, *places, along=m + g * made)


def pack(core: Core, w: Tensor, packed: Tensor) -> Tensor:
    """Writes `w[O,I,R,S]` as `packed[R,S,O,I]`, and gives that in the order of `w`."""
    dims = len(w.shape) - 2
    turned = w.permute(*range(2, dims + 2), 0, 1)
    rows, cols = slab(w.shape)
    tile = core.scratchpad((*w.shape[2:], rows, cols), w.dtype, 2)
    taps = (slice(None),) * dims
    for o, i in core.grid((w.shape[0], rows), (w.shape[1], cols)):
        core.load(tile, turned[(*taps, o, i)])
        core.wait(tile)
        core.store(packed[(*taps, o, i)], tile)
    core.barrier()
    return packed.permute(dims, dims + 1, *range(dims))


def slab(weight: tuple[int, ...], elements: int = 4096) -> tuple[int, int]:
    """Channels out and in of a piece of a weight [O,I,…] with about so many elements."""
    window = prod(weight[2:])
    cols = min(weight[1], max(1, elements // window))
    return min(weight[0], max(1, elements // (window * cols))), cols


def facing(last: bool, channels: int, pixels: int) -> tuple[int, int]:
    """A tile of channels by pixels, or turned if the channels lie last in memory."""
    return (pixels, channels) if last else (channels, pixels)


def channel_rows(last: bool, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How a piece [N,C,…] of so many dimensions becomes such a tile."""
    channels, others = (1,), (0, *range(2, dims))
    return (others, channels) if last else (channels, others)


def per_group(
    x: Tensor, w: Tensor, y: Tensor, groups: int, adjoint: bool = False
) -> tuple[int, int]:
    """Channels of one group on the weight's outer and inner side."""
    outer, inner = w.shape[0] // groups, w.shape[1]
    o, c = (x, y) if adjoint else (y, x)
    if o.shape[1] != outer * groups or c.shape[1] != inner * groups or w.shape[0] % groups:
        raise KernelMistake(f"a weight {list(w.shape)} in {groups} groups joins {inner * groups} "
                            f"channels with {outer * groups}; the tensors have {c.shape[1]} and "
                            f"{o.shape[1]}")  # fmt: skip
    return outer, inner


SPATIAL = {1: ("W", "S", "Q"), 2: ("H,W", "R,S", "P,Q"), 3: ("D,H,W", "U,R,S", "E,P,Q")}
"""Sizes of the input, the window and the result, by the number of dimensions."""


def in_dimensions(
    body: Callable[..., None], name: str, text: str, dims: int, **fixed: bool
) -> Kernel:
    """`body` as a kernel; in `text` X, W and Y stand for the shapes of input, weight, result.

    V is the shape of a depthwise weight, `taps` the sizes of a window.
    """
    last = fixed.get("last", False)
    spatial, taps, results = SPATIAL[dims]
    shapes = (("X", "N", "C", spatial), ("W", "O", "I", taps), ("V", "O", "1", taps),
              ("Y", "N", "O", results))  # fmt: skip
    for mark, first, second, inner in shapes:
        shape = f"{first},{inner},{second}" if last else f"{first},{second},{inner}"
        text = text.replace(f"[{mark}]", f"[{shape}]")
    text = text.replace("[packed]", f"[{taps},O,I]").replace("taps", taps)
    sizes = dict.fromkeys("DHWEPQ", 28) | dict.fromkeys("URS", 1) | {"N": 32, "Y": 4, "Z": 1}
    example: dict[str, int | str] = {**sizes, "C": 256, "O": 256, "I": 256, "T": "bf16"}
    return variant(body, f"{name}_{dims}d", text, example, **fixed)


def _kernels(name: str, inputs: str, outputs: str, **fixed: bool) -> Iterator[Kernel]:
    """A kernel for one, two and three dimensions."""
    return (in_dimensions(convolve, name, f"{inputs} -> {outputs}", d, **fixed) for d in SPATIAL)


_X, _Y, _BIAS, _PACKED = "x T[X]; w T[W]", "y T[Y]", "; bias T[O]", "packed T[packed]; "
_ACROSS, _BACK, _BACK_BIAS = "x T[Y]; w T[W]", "y T[X]", "; bias T[C]"

convolution_1d, convolution_2d, convolution_3d = _kernels("convolution", _X, _Y)
convolution_bias_1d, convolution_bias_2d, convolution_bias_3d = _kernels(
    "convolution_bias", _X + _BIAS, _Y
)
convolution_packed_1d, convolution_packed_2d, convolution_packed_3d = _kernels(
    "convolution_packed", _X, _PACKED + _Y
)
convolution_packed_bias_1d, convolution_packed_bias_2d, convolution_packed_bias_3d = _kernels(
    "convolution_packed_bias", _X + _BIAS, _PACKED + _Y
)
convolution_last_1d, convolution_last_2d, convolution_last_3d = _kernels(
    "convolution_last", _X, _Y, last=True
)
convolution_last_bias_1d, convolution_last_bias_2d, convolution_last_bias_3d = _kernels(
    "convolution_last_bias", _X + _BIAS, _Y, last=True
)
transposed_1d, transposed_2d, transposed_3d = _kernels("transposed", _ACROSS, _BACK, adjoint=True)
transposed_bias_1d, transposed_bias_2d, transposed_bias_3d = _kernels(
    "transposed_bias", _ACROSS + _BACK_BIAS, _BACK, adjoint=True
)
transposed_packed_1d, transposed_packed_2d, transposed_packed_3d = _kernels(
    "transposed_packed", _ACROSS, _PACKED + _BACK, adjoint=True
)
transposed_packed_bias_1d, transposed_packed_bias_2d, transposed_packed_bias_3d = _kernels(
    "transposed_packed_bias", _ACROSS + _BACK_BIAS, _PACKED + _BACK, adjoint=True
)
transposed_last_1d, transposed_last_2d, transposed_last_3d = _kernels(
    "transposed_last", _ACROSS, _BACK, adjoint=True, last=True
)
transposed_last_bias_1d, transposed_last_bias_2d, transposed_last_bias_3d = _kernels(
    "transposed_last_bias", _ACROSS + _BACK_BIAS, _BACK, adjoint=True, last=True
)
