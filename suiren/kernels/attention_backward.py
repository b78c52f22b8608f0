"""Fused attention, backward: gradients of the queries, keys and values.

The scores are computed a second time, block by block, from q, k and the log-sum-exp that the
forward pass kept (FlashAttention-2):

    p = exp(scale · q·kᵀ + mask − lse)      dv = pᵀ · grad
    dp = grad · vᵀ                          dk = scale · dsᵀ · q
    ds = p · (dp − delta)                   dq = scale · ds · k       delta = Σ out · grad

`attention_backward_keys` keeps a block of keys in a core and walks over the queries that see
it; scores are held keys first, so that products read their operands as they lie.
`attention_backward_queries` keeps queries and walks over keys. `attention_backward` is all in
one: it walks over queries and adds their gradients up in device memory (`sums`), which saves
computing the scores a third time. Heads that share keys are summed in the core.

A mask gets no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, prod
from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.attention_places import (
    Lengths,
    Place,
    key_tiles,
    query_tiles,
)
from suiren.kernels.attention_recompute import Given, Keys, Queries
from suiren.kernels.lines import turned, turns_of

_EXAMPLE: dict[str, int | str] = {
    "B": 4, "H": 32, "K": 32, "S": 4096, "L": 4096, "D": 128, "E": 128, "T": "bf16",
}  # fmt: skip
_MASK: dict[str, int | str] = {"X": 4, "Y": 1, "Z": 4096, "W": 4096, "U": "bf16"}


@kernel("out T[B,H,S,E]; grad T[B,H,S,E] -> delta f32[B,H,S]", **_EXAMPLE)
def attention_delta(
    core: Core, out: Tensor, grad: Tensor, delta: Tensor, tm: int = 128, stages: int = 2
) -> None:
    """Sum of out × grad of every query: what all of its scores' gradients have in common."""
    _deltas(core, out, grad, delta, None, tm, stages)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E]; grad T[B,H,S,E]; lse f32[B,H,S]; "
    "delta f32[B,H,S] -> dk T[B,K,L,D]; dv T[B,K,L,E]",
    **_EXAMPLE,
)
def attention_backward_keys(
    core: Core, q: Tensor, k: Tensor, v: Tensor, grad: Tensor, lse: Tensor, delta: Tensor,
    dk: Tensor, dv: Tensor, causal: bool = False, scale: float | None = None, tk: int = 128,
    resident: int = 1, fresh: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Gradients of keys and values; see `Keys` for the options."""
    given = Given(q, k, v, grad, lse, delta, scale=scale)
    keys = Keys(core, given, dk, dv, ratio=q.shape[1] // k.shape[1], tk=tk, **options)
    for place, j in key_tiles(core, q, k, tk, causal, resident=resident, fresh=fresh):
        keys.tile(place, j, causal)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E]; grad T[B,H,S,E]; lse f32[B,H,S]; "
    "delta f32[B,H,S] -> dq T[B,H,S,D]",
    **_EXAMPLE,
)
def attention_backward_queries(
    core: Core, q: Tensor, k: Tensor, v: Tensor, grad: Tensor, lse: Tensor, delta: Tensor,
    dq: Tensor, causal: bool = False, scale: float | None = None, tq: int = 128,
    resident: int = 1, fresh: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Gradients of queries; see `Queries` for the options."""
    queries = Queries(core, Given(q, k, v, grad, lse, delta, scale=scale), dq, tq=tq, **options)
    for place, i, hides in query_tiles(core, q, k, tq, causal, resident=resident, fresh=fresh):
        queries.tile(place, i, hides)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E]; out T[B,H,S,E]; grad T[B,H,S,E]; lse f32[B,H,S] "
    "-> dq T[B,H,S,D]; dk T[B,K,L,D]; dv T[B,K,L,E]; delta f32[B,H,S]; sums f32[B,H,S,D]",
    **_EXAMPLE,
)
def attention_backward(
    core: Core, q: Tensor, k: Tensor, v: Tensor, out: Tensor, grad: Tensor, lse: Tensor,
    dq: Tensor, dk: Tensor, dv: Tensor, delta: Tensor, sums: Tensor, **options: Any,
) -> None:  # fmt: skip
    """All gradients in one kernel; `delta` and `sums` are its workspace."""
    _fused(core, Given(q, k, v, grad, lse, delta), out, (dq, dk, dv, sums), **options)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E]; bias U[X,Y,Z,W]; out T[B,H,S,E]; grad T[B,H,S,E]; "
    "lse f32[B,H,S] "
    "-> dq T[B,H,S,D]; dk T[B,K,L,D]; dv T[B,K,L,E]; delta f32[B,H,S]; sums f32[B,H,S,D]",
    **_EXAMPLE, **_MASK,
)  # fmt: skip
def attention_masked_backward(
    core: Core, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, out: Tensor, grad: Tensor,
    lse: Tensor, dq: Tensor, dk: Tensor, dv: Tensor, delta: Tensor, sums: Tensor, **options: Any,
) -> None:  # fmt: skip
    """As `attention_backward`, with the mask that the forward pass had."""
    _fused(core, Given(q, k, v, grad, lse, delta, bias), out, (dq, dk, dv, sums), **options)


@kernel(
    "q T[N,H,D]; k T[M,K,D]; v T[M,K,E]; out T[N,H,E]; grad T[N,H,E]; lse f32[H,N] "
    "-> dq T[N,H,D]; dk T[M,K,D]; dv T[M,K,E]; delta f32[H,N]; sums f32[N,H,D]",
    **_EXAMPLE, N=4096, M=4096,
)  # fmt: skip
def attention_packed_backward(
    core: Core, q: Tensor, k: Tensor, v: Tensor, out: Tensor, grad: Tensor, lse: Tensor,
    dq: Tensor, dk: Tensor, dv: Tensor, delta: Tensor, sums: Tensor,
    lengths: Lengths | None = None, **options: Any,
) -> None:  # fmt: skip
    """As `attention_backward` within each of the sequences that lie behind each other."""
    q, k, v, out, grad, dq, dk, dv, sums = (
        t.permute(1, 0, 2) for t in (q, k, v, out, grad, dq, dk, dv, sums)
    )
    given = Given(q, k, v, grad, lse, delta)
    _fused(core, given, out, (dq, dk, dv, sums), lengths=lengths, **options)


def _fused(
    core: Core, given: Given, out: Tensor, results: tuple[Tensor, ...], *, causal: bool = False,
    scale: float | None = None, lengths: Lengths | None = None, tm: int = 128,
    tk: int = 128, stages: int = 2, resident: int = 1, fresh: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Deltas and zeros first; then the walk over queries; then their sums in their own format."""
    q, k, (dq, dk, dv, sums) = given.q, given.k, results
    given = replace(given, scale=scale)
    _deltas(core, out, given.grad, given.delta, sums, tm, stages)
    core.barrier()
    ratio = q.shape[-3] // k.shape[-3]
    keys = Keys(core, given, dk, dv, sums, ratio=ratio, tk=tk, stages=stages, **options)
    blocks = key_tiles(core, q, k, tk, causal, lengths, resident=resident, fresh=fresh)
    for place, j in blocks:
        keys.tile(place, j, causal)
    core.barrier()
    x = core.scratchpad((tm, q.shape[-1]), sums.dtype, stages)
    y = core.scratchpad((tm, q.shape[-1]), dq.dtype, 2)
    for place, i in _all_queries(core, q, tm):
        core.load(x, place.queries(sums, i))
        core.wait(x)
        core.acquire(y)
        core.mul(y, x, given.factor)
        core.release(x)
        core.store(place.queries(dq, i), y)


def _deltas(
    core: Core, out: Tensor, grad: Tensor, delta: Tensor, sums: Tensor | None, tm: int, stages: int
) -> None:
    """Writes Σ out × grad, and zeros where the gradients of the queries will be added up."""
    wide, width = FORMATS[out.dtype].accumulator, out.shape[-1]
    x = core.scratchpad((tm, width), out.dtype, stages)
    y = core.scratchpad((tm, width), grad.dtype, stages)
    both, result = core.registers((tm, width), wide), core.scratchpad((tm, 1), delta.dtype, 2)
    zeros = None if sums is None else core.scratchpad((tm, sums.shape[-1]), sums.dtype)
    for place, i in _all_queries(core, out, tm):
        core.load(x, place.queries(out, i))
        core.load(y, place.queries(grad, i))
        core.wait(x, y)
        core.mul(both, x, y)
        core.release(x, y)
        core.acquire(result)
        core.row_sum(result, both)
        core.store(place.queries(delta, i).matrix((0,), ()), result)
        if sums is not None and zeros is not None:
            core.acquire(zeros)
            core.fill(zeros, 0)
            core.store(place.queries(sums, i), zeros)


def _all_queries(core: Core, q: Tensor, tm: int) -> Iterator[tuple[Place, Range]]:
    """Every block of queries of every head, [H, S, D] or [B, H, S, D], whatever they see."""
    *lead, rows, _ = q.shape
    blocks = ceil(rows / tm)
    turns = min(blocks, turns_of(prod(lead) * blocks))
    for *heads, dealt in core.grid(*lead, (rows, tm * turns)):
        for i in turned(core, dealt, tm):
            yield Place(tuple(heads), (), rows, 0), i
