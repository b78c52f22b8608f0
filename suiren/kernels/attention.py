"""Fused attention, forward: out = softmax(scale · q·kᵀ + mask) · v, and its log-sum-exp.

Covers scaled dot-product attention of [B, H, S, D] and of packed sequences [N, H, D]: causal
or not, grouped heads, an additive or a boolean mask, any length. The scores never leave the
core. Each core keeps `tm` queries and walks over blocks of `tn` keys; the softmax is online:
a running maximum and sum per query, and what was summed before is rescaled when the maximum
grows (FlashAttention-2).

The queries of a tile are split into `groups` that take turns: while one group's softmax is on
the vector engine, the other's products are on the matrix engine (FlashAttention-3). To that
end the scores of the next block are asked for before the values of this one are collected;
without `ahead` they are asked for after that, and a group is a chain (FlashAttention-2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.attention_places import (
    Lengths,
    Place,
    bias_shape,
    query_tiles,
    seen_keys,
    share,
)
from suiren.kernels.lines import block
from suiren.units import MiB

#: The lowest finite number of f32: where a running maximum starts, so that it minus -inf is no NaN.
LOWEST = -3.4028234663852886e38
HIDDEN = float("-inf")


@dataclass(frozen=True, eq=False)
class Group:
    """Some of the queries of a tile, and their softmax so far."""

    q: Tile
    scores: Tile
    """Of the block that comes next: [rows, keys]."""
    weights: Tile
    """exp(scores − top) in the format that the matrix engine multiplies."""
    out: Tile
    """Sum of weights × values: [rows, E]."""
    top: Tile
    """Largest score so far: [rows, 1], as all that follow."""
    total: Tile
    """Sum of the weights so far."""
    rescale: Tile
    fresh: Tile
    positions: Tile
    bias: Tile | None


class Attend:
    """The tiles of one core, and how it works through one tile of queries."""

    def __init__(
        self, core: Core, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
        bias: Tensor | None = None, *, scale: float | None = None, tm: int = 128, tn: int = 64,
        stages: int = 2, groups: int = 2, buffers: int = 2, ahead: bool = True,
    ) -> None:  # fmt: skip
        if tm % groups:
            raise KernelMistake(f"a tile of {tm} queries does not split into {groups} groups")
        self.core, self.tensors, self.bias, self.ahead = core, (q, k, v, out, lse), bias, ahead
        self.scale = q.shape[-1] ** -0.5 if scale is None else scale
        # a mask joins the scores in their own units, and the largest of them is only the largest
        # after scaling if the scale is positive; otherwise the softmax scales as it subtracts
        self.scale_first = bias is not None or self.scale <= 0
        self.factor = 1.0 if self.scale_first else self.scale
        rows, self.tn = tm // groups, tn
        self.k = core.scratchpad((tn, q.shape[-1]), k.dtype, stages)
        self.v = core.scratchpad((tn, v.shape[-1]), v.dtype, stages)
        self.result = core.scratchpad((rows, v.shape[-1]), out.dtype, buffers)
        self.lse = core.scratchpad((rows, 1), lse.dtype, buffers)
        self.key_positions = core.registers((1, tn), "i32")
        self.visible = core.registers((rows, tn), "b8")
        self.groups = tuple(self._group(rows, stages, buffers) for _ in range(groups))

    def _group(self, rows: int, stages: int, buffers: int) -> Group:
        core, (q, _, v, _, _) = self.core, self.tensors
        wide = FORMATS[q.dtype].accumulator
        bias = None
        if self.bias is not None:
            shape = bias_shape(self.bias, rows, self.tn)
            bias = core.scratchpad(shape, self.bias.dtype, stages)

        def column(dtype: str = wide) -> Tile:
            return core.registers((rows, 1), dtype)

        return Group(
            q=core.scratchpad((rows, q.shape[-1]), q.dtype, buffers),
            scores=core.registers((rows, self.tn), wide),
            weights=core.registers((rows, self.tn), q.dtype),
            out=core.registers((rows, v.shape[-1]), wide),
            top=column(), total=column(), rescale=column(), fresh=column(),
            positions=column("i32"), bias=bias,
        )  # fmt: skip

    def tile(self, place: Place, i: Range, hides: bool) -> None:
        """One tile of queries: every block of keys that they see."""
        core, (q, k, v, _, _) = self.core, self.tensors
        for n, g in enumerate(self.groups):
            core.load(g.q, place.queries(q, self._rows(i, n)))
            core.fill(g.out, 0)
            core.fill(g.top, LOWEST)
            core.fill(g.total, 0)
            core.iota(g.positions, self._rows(i, n), axis=0)
            core.wait(g.q)
        core.load(self.k, place.values(k, block(0, self.tn, place.keys)))
        core.wait(self.k)
        for g in self.groups:
            core.product(g.scores, g.q, self.k, transpose_y=True)
        core.release(self.k)
        for j, diagonal, last in seen_keys(core, place, i, hides, self.tn):
            if not last:
                core.load(self.k, place.values(k, j + self.tn))
                core.wait(self.k)
            core.load(self.v, place.values(v, j))
            core.wait(self.v)
            for n, g in enumerate(self.groups):
                self._mask(g, place, self._rows(i, n), j)
                self._weigh(g, j, diagonal)
            for g in self.groups:
                self._collect(g, ask=not last)
            core.release(self.v)
            if not last:
                core.release(self.k)
        for n, g in enumerate(self.groups):
            core.release(g.q)
            self._finish(g, place, self._rows(i, n))

    def _rows(self, i: Range, number: int) -> Range:
        return share(i, number, i.size // len(self.groups))

    def _mask(self, g: Group, place: Place, i: Range, j: Range) -> None:
        """Scores in their own units, with the mask in them."""
        core = self.core
        if self.bias is None or g.bias is None:
            if self.scale_first:
                core.mul(g.scores, g.scores, self.scale)
            return
        core.load(g.bias, place.bias(self.bias, i, j))
        core.wait(g.bias)
        if g.bias.dtype == "b8":
            core.mul(g.scores, g.scores, self.scale)
            core.select(g.scores, g.bias, g.scores, HIDDEN)
        else:
            core.fma(g.scores, g.scores, self.scale, g.bias)
        core.release(g.bias)

    def _weigh(self, g: Group, j: Range, diagonal: bool) -> None:
        """From scores to weights exp(scores − top), the exponentials still under way."""
        core = self.core
        core.edge(g.scores, j, HIDDEN)
        if diagonal:
            core.iota(self.key_positions, j)
            core.le(self.visible, self.key_positions, g.positions)
            core.select(g.scores, self.visible, g.scores, HIDDEN)
        core.row_max(g.fresh, g.scores)
        core.maximum(g.fresh, g.fresh, g.top)
        core.sub(g.rescale, g.top, g.fresh)
        core.cast(g.top, g.fresh)
        core.mul(g.fresh, g.fresh, -self.factor)
        core.fma(g.scores, g.scores, self.factor, g.fresh)
        core.exp(g.scores, g.scores)
        core.mul(g.rescale, g.rescale, self.factor)
        core.exp(g.rescale, g.rescale)

    def _collect(self, g: Group, ask: bool) -> None:
        """Adds weights × values; asks for the scores of the next block before or after that."""
        core = self.core
        core.cast(g.weights, g.scores)
        core.row_sum(g.fresh, g.scores)
        core.fma(g.total, g.total, g.rescale, g.fresh)
        core.mul(g.out, g.out, g.rescale)
        if ask and self.ahead:
            core.product(g.scores, g.q, self.k, transpose_y=True)
        core.matmul(g.out, g.weights, self.v)
        if ask and not self.ahead:
            core.product(g.scores, g.q, self.k, transpose_y=True)

    def _finish(self, g: Group, place: Place, i: Range) -> None:
        """Divides by the total and stores; a query that sees no key gets zeros."""
        core, (_, _, _, out, lse) = self.core, self.tensors
        core.maximum(g.total, g.total, 1e-30)
        core.reciprocal(g.fresh, g.total)
        core.acquire(self.result, self.lse)
        core.mul(self.result, g.out, g.fresh)
        core.store(place.queries(out, i), self.result)
        core.log(g.fresh, g.total)
        core.fma(self.lse, g.top, self.factor, g.fresh)
        core.store(place.queries(lse, i).matrix((0,), ()), self.lse)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E] -> out T[B,H,S,E]; lse f32[B,H,S]",
    B=4, H=32, K=32, S=4096, L=4096, D=128, E=128, T="bf16",
)  # fmt: skip
def attention(
    core: Core, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
    causal: bool = False, tm: int = 128, resident: int = 1, fresh: bool = False,
    shared_bytes: float = 32 * MiB, **options: Any,
) -> None:  # fmt: skip
    """Attention of every query to every key, or to those before it; see `Attend` for options."""
    attend = Attend(core, q, k, v, out, lse, tm=tm, **options)
    tiles = query_tiles(core, q, k, tm, causal, shared_bytes=shared_bytes, resident=resident,
                        fresh=fresh)  # fmt: skip
    for place, i, hides in tiles:
        attend.tile(place, i, hides)


@kernel(
    "q T[B,H,S,D]; k T[B,K,L,D]; v T[B,K,L,E]; bias U[X,Y,Z,W] -> out T[B,H,S,E]; lse f32[B,H,S]",
    B=4, H=32, K=32, S=4096, L=4096, D=128, E=128, X=4, Y=1, Z=4096, W=4096, T="bf16", U="bf16",
)  # fmt: skip
def attention_masked(
    core: Core, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, out: Tensor, lse: Tensor,
    causal: bool = False, tm: int = 128, resident: int = 1, fresh: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Attention with a mask over [B, H, S, L]: sizes of 1 broadcast.

    Numbers are added to the scaled scores; booleans (b8) say which keys are seen.
    """
    attend = Attend(core, q, k, v, out, lse, bias, tm=tm, **options)
    for place, i, hides in query_tiles(core, q, k, tm, causal, resident=resident, fresh=fresh):
        attend.tile(place, i, hides)


@kernel(
    "q T[N,H,D]; k T[M,K,D]; v T[M,K,E] -> out T[N,H,E]; lse f32[H,N]",
    N=4096, H=32, M=4096, K=32, D=128, E=128, T="bf16",
)  # fmt: skip
def attention_packed(
    core: Core, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor,
    lengths: Lengths | None = None, causal: bool = False, tm: int = 128, resident: int = 1,
    fresh: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Attention within each of the sequences that lie behind each other.

    `lengths` lists the queries and the keys of each; all is one sequence without it.
    """
    q, k, v, out = (t.permute(1, 0, 2) for t in (q, k, v, out))
    attend = Attend(core, q, k, v, out, lse, tm=tm, **options)
    tiles = query_tiles(core, q, k, tm, causal, lengths, resident=resident, fresh=fresh)
    for place, i, hides in tiles:
        attend.tile(place, i, hides)
