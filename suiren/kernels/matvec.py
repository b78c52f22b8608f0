"""Products of a matrix and a vector: mv, addmv, dot, and linear layers of a single token.

The matrix is read once and never again, so nothing is gained by the matrix engine: the vector
engine multiplies blocks of `tm` rows by `tk` columns, as they lie in memory, into an
accumulator of the same shape, and adds that up along the rows at the end of a strip.
`matvec_n` is for a matrix [M,K], `matvec_t` for one that lies as [K,M].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import sum_format
from suiren.kernels.variant import variant


def multiply(
    core: Core, a: Tensor, x: Tensor, y: Tensor, bias: Tensor | None = None,
    residual: Tensor | None = None, *, turned: bool = False, tm: int = 16, tk: int = 512,
    stages: int = 3, resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """`y[…,M]` from `a[…,M,K]` and `x[…,K]`; leading dimensions are a batch."""
    shape, run, sums = ((tk, tm), (tk, 1), (1, tm)) if turned else ((tm, tk), (1, tk), (tm, 1))
    block, part = core.scratchpad(shape, a.dtype, stages), core.scratchpad(run, x.dtype, stages)
    acc = core.registers(shape, sum_format(a.dtype))
    total = core.registers(sums, acc.dtype, 2)
    matrix = ((), (0,)) if turned else ((0,), ())
    end = Epilogue(core, total, y, bias, residual, columns=turned, matrix=matrix, **ending)
    *batch, rows = y.shape
    # an axis of one: a grid of one axis alone would yield no tuple
    for *g, _, i in core.grid(*batch, 1, (rows, tm), resident=resident, fresh=fresh):
        core.fill(acc, 0)
        for k in core.blocks(x.shape[-1], tk):
            core.load(block, a[(*g, k, i) if turned else (*g, i, k)])
            core.load(part, x[(*g, k)].matrix(*matrix[::-1]))
            core.wait(block, part)
            core.fma(acc, block, part, acc)
            core.release(block, part)
        core.acquire(total)
        core.row_sum(total, acc, axis=0 if turned else 1)
        end.store(*g, i, along=i)


def _both(name: str, text: str) -> Iterator[Kernel]:
    """A kernel for either layout; `rows` stands for the sizes of the matrix."""
    example: dict[str, int | str] = {"G": 8, "M": 4096, "K": 4096, "A": "bf16", "C": "bf16"}
    for letter, sizes in (("n", "M,K"), ("t", "K,M")):
        signature = text.replace("rows", sizes)
        yield variant(multiply, f"{name}_{letter}", signature, example, turned=letter == "t")


matvec_n, matvec_t = _both("matvec", "a A[rows]; x A[K] -> y C[M]")
matvec_bias_n, matvec_bias_t = _both("matvec_bias", "a A[rows]; x A[K]; bias C[M] -> y C[M]")
matvec_add_n, matvec_add_t = _both("matvec_add", "a A[rows]; x A[K]; residual C[M] -> y C[M]")
batched_matvec_n, batched_matvec_t = _both("batched_matvec", "a A[G,rows]; x A[G,K] -> y C[G,M]")
