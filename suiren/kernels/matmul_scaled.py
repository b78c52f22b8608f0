"""Products of eight-bit operands with scales: `_scaled_mm` and quantised linear layers.

`scaled` multiplies the sums by a scale for each row of `a` and each column of `b`, or one for
all, after the last product. `block_scaled` has a scale for every `depth` positions of a row
of `a` and every block of `width` by `depth` of `b`: each block's sum leaves the matrix engine
and is scaled and added by the vector engine, while the next block is multiplied.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, View
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import LAYOUTS, accumulate, in_layout, operands, piece


def scale_sums(
    core: Core, a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, c: Tensor,
    bias: Tensor | None = None, *, layout: str = "nt", tm: int = 128, tn: int = 128, tk: int = 64,
    stages: int = 3, sums: int = 1, resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`c = scale_a · (a·b) · scale_b`, scales of [M] or [1] and of [N] or [1]."""
    x, y, acc = operands(core, a, b, layout, (tm, tn, tk), stages, sums)
    work = core.registers((tm, tn), "f32", 2)
    rows = core.scratchpad((tm if scale_a.shape[0] > 1 else 1, 1), "f32", 2)
    cols = core.scratchpad((1, tn if scale_b.shape[0] > 1 else 1), "f32", 2)
    end = Epilogue(core, work, c, bias, **ending)
    depth = a.shape[-2] if layout[0] == "t" else a.shape[-1]
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn), square=True, resident=resident,
                          fresh=fresh):  # fmt: skip
        steps = core.blocks(depth, tk)
        pieces = ((piece(a, layout[0], i, k), piece(b, layout[1], k, j)) for k in steps)
        accumulate(core, acc, x, y, pieces, layout)
        core.load(rows, _along(scale_a, i).matrix((0,), ()))
        core.load(cols, _along(scale_b, j).matrix((), (0,)))
        core.wait(rows, cols)
        core.acquire(work)
        core.mul(work, acc, rows)
        core.release(acc, rows)
        core.mul(work, work, cols)
        core.release(cols)
        end.store(i, j, along=j)


def _along(scale: Tensor, places: Range) -> View:
    return scale[places] if scale.shape[0] > 1 else scale[:]


@kernel("a A[M,K]; b B[N,K]; scale_a f32[M,L]; scale_b f32[P,L] -> c C[M,N]", M=4096, N=4096,
        K=4096, L=32, P=32, A="f8e4m3", B="f8e4m3", C="bf16")  # fmt: skip
def block_scaled(
    core: Core, a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor, c: Tensor,
    depth: int = 128, width: int = 128, tm: int = 128, tk: int = 128, stages: int = 3,
    sums: int = 2, resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`c[M,N]` from `a[M,K]` and `b[N,K]` in blocks of `depth` along k and `width` along n."""
    wanted = -(-a.shape[1] // depth), -(-b.shape[0] // width)
    if scale_b.shape != wanted[::-1]:
        raise KernelMistake(f"blocks of {depth} along {a.shape[1]} and of {width} along "
                            f"{b.shape[0]} need scales of b {list(wanted[::-1])}, not "
                            f"{list(scale_b.shape)}")  # fmt: skip
    x, y, acc = operands(core, a, b, "nt", (tm, width, tk), stages, sums)
    total, scaled = core.registers((tm, width), "f32", 2), core.registers((tm, width))
    rows, one = core.scratchpad((tm, 1), "f32", stages), core.scratchpad((1, 1), "f32", stages)
    end = Epilogue(core, total, c, **ending)
    grid = core.grid((c.shape[0], tm), wanted[1], square=True, resident=resident, fresh=fresh)
    for i, q in grid:
        j = Range(q * width, width, 1, q * width, b.shape[0])
        core.acquire(total)
        core.fill(total, 0)
        for p in core.loop(wanted[0]):
            core.load(rows, scale_a[i, p].matrix((0,), ()))
            core.load(one, scale_b[q, p].matrix((), ()))
            steps = (k + p * depth for k in core.blocks(depth, tk))
            accumulate(core, acc, x, y, ((a[i, k], b[j, k]) for k in steps), "nt")
            core.wait(rows, one)
            core.mul(rows, rows, one)
            core.mul(scaled, acc, rows)
            core.release(acc, rows, one)
            core.add(total, total, scaled)
        end.store(i, j, along=j)


_SCALES = "scale_a f32[U]; scale_b f32[V]"
_SIZES: dict[str, Any] = {"U": 1, "V": 1, "A": "f8e4m3", "B": "f8e4m3"}

scaled_nn, scaled_nt, scaled_tn, scaled_tt = (
    in_layout(scale_sums, "scaled", w, inputs=_SCALES, **_SIZES) for w in LAYOUTS
)
scaled_bias_nn, scaled_bias_nt, scaled_bias_tn, scaled_bias_tt = (
    in_layout(scale_sums, "scaled_bias", w, inputs=f"{_SCALES}; bias C[N]", **_SIZES)
    for w in LAYOUTS
)
