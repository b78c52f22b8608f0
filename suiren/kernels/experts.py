"""Products of a mixture of experts: rows of tokens, each multiplied by its expert's weight.

Rows are sorted by expert. `counts` says how many each expert has, known when the kernel is
built (evenly shared if it is left out): neighbours with equal counts share one grid. Where
counts are known only to the chip, `experts_blocks` takes tables instead.

`experts` multiplies sorted rows; `experts_gathered` takes its rows straight from the tokens;
`experts_scattered` adds each row, times its gate, to its token's result in memory;
`experts_weight` is the gradient by the weights, a product of each expert's own depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import accumulate, hand_over, operands, piece, sum_format
from suiren.kernels.variant import variant

LAYOUTS = ("nn", "nt")


def even(rows: int, experts: int) -> tuple[int, ...]:
    """Counts of rows that differ by one at most."""
    return tuple(rows // experts + (e < rows % experts) for e in range(experts))


def stretches(counts: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """(first expert, experts, first row, rows of each) of neighbours with equal counts."""
    found, expert, row = [], 0, 0
    for count, group in groupby(counts):
        experts = len(list(group))
        found.append((expert, experts, row, count))
        expert, row = expert + experts, row + experts * count
    return found


def _counted(counts: Sequence[int], rows: int, experts: int) -> list[tuple[int, int, int, int]]:
    counts = tuple(counts) or even(rows, experts)
    if len(counts) != experts or sum(counts) > rows:
        raise KernelMistake(f"counts {list(counts)} of {len(counts)} experts sum to {sum(counts)}; "
                            f"{experts} experts share {rows} rows")  # fmt: skip
    return stretches(counts)


def multiply(
    core: Core, x: Tensor, w: Tensor, y: Tensor, bias: Tensor | None = None,
    rows: Tensor | None = None, *, layout: str = "nn", counts: Sequence[int] = (), tm: int = 128,
    tn: int = 128, tk: int = 32, stages: int = 3, sums: int = 1, resident: int = 1,
    fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`y[M,N]` from `x[M,K]` and `w[E,K,N]`; row p is row `rows[p]` of `x` if that is given."""
    data, weights, acc = operands(core, x, w, layout, (tm, tn, tk), stages, sums)
    end = Epilogue(core, acc, y, bias, **ending)
    taken = core.scratchpad((tm,), "i32", 2)
    for expert, experts, start, count in _counted(counts, y.shape[0], w.shape[0]):
        sizes = experts, (count, tm), (y.shape[1], tn)
        for e, i, j in core.grid(*sizes, square=True, resident=resident, fresh=fresh):
            at = i + (e * count + start)
            source = at if rows is None else _load(core, taken, rows, at)
            steps = core.blocks(x.shape[1], tk)
            pieces = ((x[source, k], piece(w, layout[1], e + expert, k, j)) for k in steps)
            accumulate(core, acc, data, weights, pieces, layout)
            if rows is not None:
                core.release(taken)
            end.store(at, j, along=(e + expert, j))


def _load(core: Core, taken: Tile, rows: Tensor, at: Range) -> Tile:
    """The tile of numbers of rows; -1, which is no row, beyond the edge."""
    core.load(taken, rows[at], pad=-1)
    core.wait(taken)
    return taken


def scatter(
    core: Core, x: Tensor, w: Tensor, rows: Tensor, gates: Tensor, y: Tensor, *,
    layout: str = "nn", counts: Sequence[int] = (), tm: int = 128, tn: int = 128, tk: int = 32,
    stages: int = 3, sums: int = 1, resident: int = 1, fresh: bool = False,
) -> None:  # fmt: skip
    """`y[rows[p]] += gates[p] · x[p] · w` of its expert; `y[S,N]` starts at zero."""
    data, weights, acc = operands(core, x, w, layout, (tm, tn, tk), stages, sums)
    taken, gate = core.scratchpad((tm,), "i32", 2), core.scratchpad((tm, 1), gates.dtype, 2)
    out = core.scratchpad((tm, tn), y.dtype, 2)
    for i, j in core.grid((y.shape[0], tm), (y.shape[1], tn)):
        core.acquire(out)
        core.fill(out, 0)
        core.store(y[i, j], out)
    core.barrier()
    for expert, experts, start, count in _counted(counts, x.shape[0], w.shape[0]):
        sizes = experts, (count, tm), (y.shape[1], tn)
        for e, i, j in core.grid(*sizes, square=True, resident=resident, fresh=fresh):
            at = i + (e * count + start)
            steps = core.blocks(x.shape[1], tk)
            pieces = ((x[at, k], piece(w, layout[1], e + expert, k, j)) for k in steps)
            accumulate(core, acc, data, weights, pieces, layout)
            core.load(gate, gates[at].matrix((0,), ()))
            _load(core, taken, rows, at)
            core.wait(gate)
            core.mul(acc, acc, gate)
            core.release(gate)
            hand_over(core, acc, out, y[taken, j], add=True)
            core.release(taken)


@kernel("a A[M,P]; b B[M,Q] -> w C[E,P,Q]", M=8192, P=2048, Q=4096, E=8, A="bf16", B="bf16",
        C="bf16")  # fmt: skip
def experts_weight(
    core: Core, a: Tensor, b: Tensor, w: Tensor, counts: Sequence[int] = (), tm: int = 128,
    tn: int = 128, tk: int = 32, stages: int = 3, sums: int = 1, resident: int = 1,
    fresh: bool = False,
) -> None:  # fmt: skip
    """`w[e] = aᵀ·b` over the rows of expert e: (x, dy) for [E,K,N], (dy, x) for [E,N,K]."""
    x, y = core.scratchpad((tk, tm), a.dtype, stages), core.scratchpad((tk, tn), b.dtype, stages)
    acc = core.registers((tm, tn), sum_format(a.dtype), sums)
    end = Epilogue(core, acc, w)
    for expert, experts, start, count in _counted(counts, a.shape[0], w.shape[0]):
        sizes = experts, (w.shape[1], tm), (w.shape[2], tn)
        for e, i, j in core.grid(*sizes, square=True, resident=resident, fresh=fresh):
            first: Index = e * count + start
            pieces = ((a[k + first, i], b[k + first, j]) for k in core.blocks(count, tk))
            accumulate(core, acc, x, y, pieces, "tn")
            end.store(e + expert, i, j)


def in_layout(body: Callable[..., None], name: str, layout: str, text: str) -> Kernel:
    """`body` for weights that lie as [E,K,N] or [E,N,K], which `W` stands for in `text`."""
    text = text.replace("[W]", "[E,N,K]" if layout[1] == "t" else "[E,K,N]")
    example: dict[str, int | str] = {"S": 8192, "M": 8192, "K": 2048, "N": 4096, "E": 8, "B": 72,
                                     "TM": 128, "A": "bf16", "C": "bf16", "D": "bf16"}  # fmt: skip
    return variant(body, f"{name}_{layout}", text, example, layout=layout)


_PLAIN, _TAKEN = "x A[M,K]; w D[W]", "x A[S,K]; w D[W]"

experts_nn, experts_nt = (
    in_layout(multiply, "experts", w, f"{_PLAIN} -> y C[M,N]") for w in LAYOUTS
)
experts_bias_nn, experts_bias_nt = (
    in_layout(multiply, "experts_bias", w, f"{_PLAIN}; bias C[E,N] -> y C[M,N]") for w in LAYOUTS
)
experts_gathered_nn, experts_gathered_nt = (
    in_layout(multiply, "experts_gathered", w, f"{_TAKEN}; rows i32[M] -> y C[M,N]")
    for w in LAYOUTS
)
experts_scattered_nn, experts_scattered_nt = (
    in_layout(scatter, "experts_scattered", w,
               f"{_PLAIN}; rows i32[M]; gates f32[M] -> y C[S,N]")
    for w in LAYOUTS
)  # fmt: skip
