"""The tiles of attention's backward pass: scores computed again, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.core.index import Range
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.attention import HIDDEN
from suiren.kernels.attention_places import Place, bias_shape, seeing_queries, seen_keys


@dataclass(frozen=True, eq=False)
class Given:
    """What the backward pass reads."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor
    lse: Tensor
    delta: Tensor
    """Sum of out × grad of every query."""
    bias: Tensor | None = None
    scale: float | None = None

    @property
    def factor(self) -> float:
        """What the products of queries and keys are multiplied with."""
        return self.q.shape[-1] ** -0.5 if self.scale is None else self.scale

    @property
    def wide(self) -> str:
        """The format in which sums are kept."""
        return FORMATS[self.q.dtype].accumulator


class Scores:
    """One block of scores, [queries, keys] or [keys, queries], and the gradient of its weights."""

    def __init__(
        self, core: Core, given: Given, rows: int, keys: int, keys_first: bool, stages: int
    ) -> None:
        self.core, self.given, self.keys_first = core, given, keys_first
        shape, across, down = (rows, keys), (1, keys), (rows, 1)
        if keys_first:
            shape, across, down = (keys, rows), (keys, 1), (1, rows)
        self.weights = core.registers(shape, given.wide)
        self.grad = core.registers(shape, given.wide)
        self.minus_lse = core.registers(down, given.wide)
        self.visible = core.registers(shape, "b8")
        self.key_positions = core.registers(across, "i32")
        self.query_positions = core.registers(down, "i32")
        self.bias = None
        if given.bias is not None:
            held = bias_shape(given.bias, rows, keys)
            held = held[::-1] if keys_first else held
            self.bias = core.scratchpad(held, given.bias.dtype, stages)

    def weigh(self, place: Place, i: Range, j: Range, diagonal: bool) -> None:
        """From products of queries and keys to weights: exp(scale · products + mask − lse)."""
        core, scores, factor = self.core, self.weights, self.given.factor
        if self.given.bias is None or self.bias is None:
            core.fma(scores, scores, factor, self.minus_lse)
        else:
            core.load(self.bias, place.bias(self.given.bias, i, j, turned=self.keys_first))
            core.wait(self.bias)
            if self.bias.dtype == "b8":
                core.fma(scores, scores, factor, self.minus_lse)
                core.select(scores, self.bias, scores, HIDDEN)
            else:
                core.fma(scores, scores, factor, self.bias)
                core.add(scores, scores, self.minus_lse)
            core.release(self.bias)
        keys, rows = (0, 1) if self.keys_first else (1, 0)
        core.edge(scores, j, HIDDEN, axis=keys)
        if diagonal:
            core.iota(self.key_positions, j, axis=keys)
            core.iota(self.query_positions, i, axis=rows)
            core.le(self.visible, self.key_positions, self.query_positions)
            core.select(scores, self.visible, scores, HIDDEN)
        core.exp(scores, scores)


class Keys:
    """A core that keeps a block of keys and values and walks over the queries that see them."""

    def __init__(
        self, core: Core, given: Given, dk: Tensor, dv: Tensor, sums: Tensor | None = None, *,
        ratio: int, tk: int = 128, tq: int = 64, stages: int = 2, buffers: int = 1,
    ) -> None:  # fmt: skip
        self.core, self.given, self.results, self.sums = core, given, (dk, dv), sums
        self.ratio, self.tq = ratio, tq
        form, wide = given.q.dtype, given.wide
        depth, width = given.q.shape[-1], given.v.shape[-1]
        self.k = core.scratchpad((tk, depth), form, buffers)
        self.v = core.scratchpad((tk, width), form, buffers)
        self.q = core.scratchpad((tq, depth), form, stages)
        self.grad = core.scratchpad((tq, width), form, stages)
        self.lse = core.scratchpad((1, tq), given.lse.dtype, stages)
        self.delta = core.scratchpad((1, tq), given.delta.dtype, stages)
        self.scores = Scores(core, given, tq, tk, True, stages)
        # the matrix engine reads both as first operands: they go through the scratchpad
        self.p = core.scratchpad((tk, tq), form)
        self.ds = core.scratchpad((tk, tq), form)
        self.dk = core.registers((tk, depth), wide)
        self.dv = core.registers((tk, width), wide)
        self.dk_out = core.scratchpad((tk, depth), dk.dtype, buffers)
        self.dv_out = core.scratchpad((tk, width), dv.dtype, buffers)
        self.dq = None if sums is None else core.registers((tq, depth), sums.dtype, buffers)

    def tile(self, place: Place, j: Range, causal: bool) -> None:
        """Gradients of one block of keys and values."""
        core, given = self.core, self.given
        core.load(self.k, place.values(given.k, j))
        core.load(self.v, place.values(given.v, j))
        core.fill(self.dk, 0)
        core.fill(self.dv, 0)
        core.wait(self.k, self.v)
        for head in core.loop(self.ratio):
            seen_by = place.head(head)
            for i, diagonal in seeing_queries(core, seen_by, j, causal, self.tq):
                self._load(seen_by, i)
                self._block(seen_by, i, j, diagonal)
                core.release(self.q, self.grad, self.lse, self.delta)
        core.release(self.k, self.v)
        core.acquire(self.dk_out, self.dv_out)
        core.mul(self.dk_out, self.dk, given.factor)
        core.cast(self.dv_out, self.dv)
        core.store(place.values(self.results[0], j), self.dk_out)
        core.store(place.values(self.results[1], j), self.dv_out)

    def _load(self, place: Place, i: Range) -> None:
        core, given = self.core, self.given
        core.load(self.q, place.queries(given.q, i))
        core.load(self.grad, place.queries(given.grad, i))
        # queries past the end weigh nothing: exp(0 − ∞)
        core.load(self.lse, place.queries(given.lse, i).matrix((), (0,)), pad=float("inf"))
        core.load(self.delta, place.queries(given.delta, i).matrix((), (0,)))
        core.wait(self.q, self.grad, self.lse, self.delta)

    def _block(self, place: Place, i: Range, j: Range, diagonal: bool) -> None:
        core, weights, slopes = self.core, self.scores.weights, self.scores.grad
        core.product(weights, self.k, self.q, transpose_y=True)
        core.product(slopes, self.v, self.grad, transpose_y=True)
        core.neg(self.scores.minus_lse, self.lse)
        self.scores.weigh(place, i, j, diagonal)
        core.sub(slopes, slopes, self.delta)
        core.cast(self.p, weights)
        core.matmul(self.dv, self.p, self.grad)
        core.mul(slopes, slopes, weights)
        core.cast(self.ds, slopes)
        core.matmul(self.dk, self.ds, self.q)
        if self.sums is not None and self.dq is not None:
            core.acquire(self.dq)
            core.product(self.dq, self.ds, self.k, transpose_x=True)
            core.store(place.queries(self.sums, i), self.dq, add=True)


class Queries:
    """A core that keeps a block of queries and walks over the keys that they see."""

    def __init__(
        self, core: Core, given: Given, dq: Tensor, *, tq: int = 128, tk: int = 64,
        stages: int = 2, buffers: int = 1,
    ) -> None:  # fmt: skip
        self.core, self.given, self.result, self.tk = core, given, dq, tk
        form = given.q.dtype
        depth, width = given.q.shape[-1], given.v.shape[-1]
        self.q = core.scratchpad((tq, depth), form, buffers)
        self.grad = core.scratchpad((tq, width), form, buffers)
        self.lse = core.scratchpad((tq, 1), given.lse.dtype, buffers)
        self.delta = core.scratchpad((tq, 1), given.delta.dtype, buffers)
        self.k = core.scratchpad((tk, depth), form, stages)
        self.v = core.scratchpad((tk, width), form, stages)
        self.scores = Scores(core, given, tq, tk, False, stages)
        self.ds = core.registers((tq, tk), form)
        self.dq = core.registers((tq, depth), given.wide)
        self.out = core.scratchpad((tq, depth), dq.dtype, buffers)

    def tile(self, place: Place, i: Range, hides: bool) -> None:
        """Gradients of one block of queries."""
        core, given = self.core, self.given
        weights, slopes = self.scores.weights, self.scores.grad
        core.load(self.q, place.queries(given.q, i))
        core.load(self.grad, place.queries(given.grad, i))
        core.load(self.lse, place.queries(given.lse, i).matrix((0,), ()), pad=float("inf"))
        core.load(self.delta, place.queries(given.delta, i).matrix((0,), ()))
        core.fill(self.dq, 0)
        core.wait(self.q, self.grad, self.lse, self.delta)
        core.neg(self.scores.minus_lse, self.lse)
        for j, diagonal, _ in seen_keys(core, place, i, hides, self.tk):
            core.load(self.k, place.values(given.k, j))
            core.load(self.v, place.values(given.v, j))
            core.wait(self.k, self.v)
            core.product(weights, self.q, self.k, transpose_y=True)
            core.product(slopes, self.grad, self.v, transpose_y=True)
            self.scores.weigh(place, i, j, diagonal)
            core.sub(slopes, slopes, self.delta)
            core.mul(slopes, slopes, weights)
            core.cast(self.ds, slopes)
            core.matmul(self.dq, self.ds, self.k)
            core.release(self.k, self.v)
        core.release(self.q, self.grad, self.lse, self.delta)
        core.acquire(self.out)
        core.mul(self.out, self.dq, given.factor)
        core.store(place.queries(self.result, i), self.out)
