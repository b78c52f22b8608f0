"""Tokens of a mixture of experts on their way: to their experts' rows, and back.

`take_tokens` copies the token behind every row sorted by expert, times the row's gate in
`take_tokens_gated` (the gradient of `combine_tokens`). `combine_tokens` sums every token's
rows, each times its gate; `gates_gradient` is the gates' part of its gradient. Rows and
tokens are found by tiles of numbers: the copy engine gathers whole rows.
"""

from __future__ import annotations

from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.matmul import sum_format


@kernel("x T[S,D]; rows i32[M] -> y T[M,D]", S=4096, M=8192, D=4096, T="bf16")
def take_tokens(
    core: Core, x: Tensor, rows: Tensor, y: Tensor, slots: int = 1, tm: int = 16, td: int = 1024
) -> None:
    """`y[p] = x[rows[p] // slots]`, zero where there is no such token."""
    taken, copied = core.scratchpad((tm,), "i32", 2), core.scratchpad((tm, td), x.dtype, 3)
    source = core.registers((tm,), "i32")
    for i, d in core.grid((y.shape[0], tm), (y.shape[1], td)):
        core.load(taken, rows[i], pad=-1)
        core.wait(taken)
        core.floor_divide(source, taken, slots)
        core.release(taken)
        core.load(copied, x[source, d])
        core.wait(copied)
        core.store(y[i, d], copied)


@kernel("x T[S,D]; rows i32[M]; gates f32[M] -> y T[M,D]", S=4096, M=8192, D=4096, T="bf16")
def take_tokens_gated(
    core: Core, x: Tensor, rows: Tensor, gates: Tensor, y: Tensor, slots: int = 1, tm: int = 16,
    td: int = 1024,
) -> None:  # fmt: skip
    """`y[p] = gates[p] · x[rows[p] // slots]`."""
    taken, gate = core.scratchpad((tm,), "i32", 2), core.scratchpad((tm, 1), "f32", 2)
    token, out = (core.scratchpad((tm, td), x.dtype, 2) for _ in range(2))
    source = core.registers((tm,), "i32")
    for i, d in core.grid((y.shape[0], tm), (y.shape[1], td)):
        core.load(taken, rows[i], pad=-1)
        core.load(gate, gates[i].matrix((0,), ()))
        core.wait(taken)
        core.floor_divide(source, taken, slots)
        core.release(taken)
        core.load(token, x[source, d])
        core.wait(gate, token)
        core.acquire(out)
        core.mul(out, token, gate)
        core.release(gate, token)
        core.store(y[i, d], out)


@kernel("x T[M,D]; rows i32[S,J]; gates f32[S,J] -> y T[S,D]", S=4096, M=8192, J=2, D=4096,
        T="bf16")  # fmt: skip
def combine_tokens(
    core: Core, x: Tensor, rows: Tensor, gates: Tensor, y: Tensor, ts: int = 16, td: int = 1024
) -> None:
    """`y[s] = Σ_j gates[s,j] · x[rows[s,j]]`; no such row counts as zero."""
    taken, gate = core.scratchpad((ts,), "i32", 3), core.scratchpad((ts, 1), "f32", 3)
    row, out = core.scratchpad((ts, td), x.dtype, 3), core.scratchpad((ts, td), y.dtype, 2)
    total = core.registers((ts, td), sum_format(x.dtype))
    for s, d in core.grid((y.shape[0], ts), (y.shape[1], td)):
        core.fill(total, 0)
        for j in core.loop(rows.shape[1]):
            core.load(taken, rows[s, j], pad=-1)
            core.load(gate, gates[s, j].matrix((0,), ()))
            core.wait(taken)
            core.load(row, x[taken, d])
            core.wait(gate, row)
            core.fma(total, row, gate, total)
            core.release(taken, gate, row)
        core.acquire(out)
        core.cast(out, total)
        core.store(y[s, d], out)


@kernel("dy T[S,D]; x T[M,D]; rows i32[S,J] -> dgates f32[S,J]", S=4096, M=8192, J=2, D=4096,
        T="bf16")  # fmt: skip
def gates_gradient(
    core: Core, dy: Tensor, x: Tensor, rows: Tensor, dgates: Tensor, ts: int = 16, td: int = 1024
) -> None:
    """`dgates[s,j] = dy[s] · x[rows[s,j]]`."""
    taken, out = core.scratchpad((ts,), "i32", 2), core.scratchpad((ts, 1), "f32", 2)
    above, below = (core.scratchpad((ts, td), x.dtype, 3) for _ in range(2))
    total = core.registers((ts, td))
    for s, j in core.grid((dy.shape[0], ts), rows.shape[1]):
        core.load(taken, rows[s, j], pad=-1)
        core.wait(taken)
        core.fill(total, 0)
        for d in core.blocks(dy.shape[1], td):
            core.load(above, dy[s, d])
            core.load(below, x[taken, d])
            core.wait(above, below)
            core.fma(total, above, below, total)
            core.release(above, below)
        core.release(taken)
        core.acquire(out)
        core.row_sum(out, total, axis=1)
        core.store(dgates[s, j].matrix((0,), ()), out)
