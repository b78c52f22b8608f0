"""Matrix products: mm, addmm, bmm, baddbmm, linear, and their gradients.

A core makes one [tm, tn] tile of the result at a time: blocks of `a` and `b` of depth `tk`
arrive in the scratchpad `stages` deep, the matrix engine adds their products to an
accumulator in registers, and the epilogue finishes it while the next tile's loads run. With
`sums=2` accumulators the next tile's products run beside it too.

`layout` says how the operands lie in memory: `n` as they are multiplied, `t` transposed.
A block is always loaded in the order of memory, in wide rows; the matrix engine turns it.
Each kernel comes in four layouts, `matmul_nn` to `matmul_tt`: `linear_nt` is x·wᵀ + bias,
`matmul_nn` its gradient by x, `matmul_tn` its gradient by w. Formats of `a`, `b` and `c` are
free: bf16 and f16 accumulate in f32, i8 in i32; `multiply="tf32"` rounds f32 operands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile, View
from suiren.dtype import FORMATS
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.variant import variant

LAYOUTS = ("nn", "nt", "tn", "tt")


def gemm(
    core: Core, a: Tensor, b: Tensor, c: Tensor, bias: Tensor | None = None,
    residual: Tensor | None = None, *, layout: str = "nn", tm: int = 128, tn: int = 128,
    tk: int = 32, stages: int = 3, sums: int = 1, multiply: str = "", multicast: bool = False,
    resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`c[…,M,N]` from `a[…,M,K]` and `b[…,K,N]`; leading dimensions are a batch."""
    x, y, acc = operands(core, a, b, layout, (tm, tn, tk), stages, sums, multiply)
    end = Epilogue(core, acc, c, bias, residual, **ending)
    depth = a.shape[-2] if layout[0] == "t" else a.shape[-1]
    *batch, rows, cols = c.shape
    for *g, i, j in core.grid(*batch, (rows, tm), (cols, tn), square=True, resident=resident,
                              fresh=fresh):  # fmt: skip
        shared = (j, i) if multicast else (None, None)
        steps = core.blocks(depth, tk)
        pieces = ((piece(a, layout[0], *g, i, k), piece(b, layout[1], *g, k, j)) for k in steps)
        accumulate(core, acc, x, y, pieces, layout, shared)
        end.store(*g, i, j, along=j)


def accumulate(
    core: Core, acc: Tile, x: Tile, y: Tile, pieces: Iterable[tuple[View, View]],
    layout: str = "nn", shared: tuple[Range | None, Range | None] = (None, None),
) -> None:  # fmt: skip
    """The sum of products x·y over the pieces that they load, one pair a step of a loop.

    The accumulator is to be released after its last use.
    """
    core.acquire(acc)
    core.fill(acc, 0)
    for a, b in pieces:
        core.load(x, a, multicast=shared[0])
        core.load(y, b, multicast=shared[1])
        core.wait(x, y)
        core.matmul(acc, x, y, transpose_x=layout[0] == "t", transpose_y=layout[1] == "t")
        core.release(x, y)


def hand_over(core: Core, acc: Tile, out: Tile, target: View, add: bool = False) -> None:
    """Stores the accumulator as it is, by way of `out`, and gives it back."""
    core.acquire(out)
    core.cast(out, acc)
    core.release(acc)
    core.store(target, out, add=add)


def operands(
    core: Core, a: Tensor, b: Tensor, layout: str, tile: tuple[int, int, int], stages: int,
    sums: int = 1, multiply: str = "",
) -> tuple[Tile, Tile, Tile]:  # fmt: skip
    """Tiles for blocks of `a` and `b` as they lie in memory, and `sums` accumulators.

    `tile` is rows, columns and depth.
    """
    tm, tn, tk = tile
    x = (tk, tm) if layout[0] == "t" else (tm, tk)
    y = (tn, tk) if layout[1] == "t" else (tk, tn)
    return (core.scratchpad(x, multiply or a.dtype, stages),
            core.scratchpad(y, multiply or b.dtype, stages),
            core.registers((tm, tn), sum_format(a.dtype), sums))  # fmt: skip


def sum_format(dtype: str) -> str:
    """The format in which the matrix engine sums products of this one."""
    return FORMATS[dtype].accumulator if FORMATS[dtype].is_float else "i32"


def piece(tensor: Tensor, order: str, *places: Any) -> View:
    """A piece of an operand by its place in the product, in the order of memory."""
    *lead, row, col = places
    return tensor[(*lead, col, row) if order == "t" else (*lead, row, col)]


def in_layout(
    body: Callable[..., None], name: str, layout: str, lead: str = "", inputs: str = "",
    outputs: str = "", **example: int | str,
) -> Kernel:  # fmt: skip
    """`body` as the kernel of one layout; `inputs` and `outputs` are its further tensors."""
    a = "K,M" if layout[0] == "t" else "M,K"
    b = "N,K" if layout[1] == "t" else "K,N"
    text = f"a A[{lead}{a}]; b B[{lead}{b}]; {inputs} -> {outputs}; c C[{lead}M,N]"
    sizes: dict[str, int | str] = {"G": 8, "M": 4096, "N": 4096, "K": 4096,
                                   "A": "bf16", "B": "bf16", "C": "bf16"}  # fmt: skip
    return variant(body, f"{name}_{layout}", text, {**sizes, **example}, layout=layout)


_BIAS, _MORE = "bias C[N]", "residual C[M,N]"

matmul_nn, matmul_nt, matmul_tn, matmul_tt = (in_layout(gemm, "matmul", w) for w in LAYOUTS)

linear_nn, linear_nt, linear_tn, linear_tt = (
    in_layout(gemm, "linear", w, inputs=_BIAS) for w in LAYOUTS
)
matmul_add_nn, matmul_add_nt, matmul_add_tn, matmul_add_tt = (
    in_layout(gemm, "matmul_add", w, inputs=_MORE) for w in LAYOUTS
)
linear_add_nn, linear_add_nt, linear_add_tn, linear_add_tt = (
    in_layout(gemm, "linear_add", w, inputs=f"{_BIAS}; {_MORE}") for w in LAYOUTS
)
batched_nn, batched_nt, batched_tn, batched_tt = (
    in_layout(gemm, "batched", w, lead="G,") for w in LAYOUTS
)
batched_add_nn, batched_add_nt, batched_add_tn, batched_add_tt = (
    in_layout(gemm, "batched_add", w, lead="G,", inputs="residual C[G,M,N]") for w in LAYOUTS
)
