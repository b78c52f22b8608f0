"""Losses of classes: negative log-likelihood and cross-entropy, forward and backward.

`nll_loss` picks one log-probability per position: the core turns targets into places in memory
and the copy engine gathers them, so that the rest is never read. `[N, C, P]` holds classes in
the middle, as images do; P is 1 for plain rows. Sums are made in parts, one a row of `parts`,
and added up behind a barrier. A target equal to `ignore` counts for nothing.

`nll_loss_backward` writes every gradient once, zeros included. `loss_rows.py` has
the loss of rows of numbers that were not made probabilities first.
"""

from __future__ import annotations

from math import prod
from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.folding import piece_blocks
from suiren.kernels.lines import scalar, shaped

_EXAMPLE: dict[str, int | str] = {
    "N": 8192, "C": 32000, "P": 1, "Q": 128, "M": 8192, "T": "bf16", "R": "f32",
}  # fmt: skip


class Picked:
    """The log-probabilities and the weights of the targets of some positions."""

    def __init__(
        self, core: Core, logp: Tensor, target: Tensor, weight: Tensor | None, *,
        ignore: int = -100, tm: int = 1024, stages: int = 2,
    ) -> None:  # fmt: skip
        self.core, self.logp, self.weights, self.ignore = core, logp, weight, ignore
        self.flat = shaped(logp, prod(logp.shape))
        self.target, self.tm = shaped(target, prod(target.shape)), tm
        wide = FORMATS[logp.dtype].accumulator
        count = "i32" if prod(logp.shape) < 2**31 else "i64"
        self.class_ = core.scratchpad((1, tm), target.dtype, stages)
        self.picked = core.scratchpad((1, tm), logp.dtype, stages)
        self.factor = None if weight is None else core.scratchpad((1, tm), weight.dtype, stages)
        self.places, self.rows = (core.registers((1, tm), count) for _ in range(2))
        self.valid = core.registers((1, tm), "b8")
        self.loss, self.weight = (core.registers((1, tm), wide) for _ in range(2))

    def take(self, i: Range) -> None:
        """Leaves −weight · log-probability and the weight of positions `i` in registers."""
        core, (_, classes, inner) = self.core, self.logp.shape
        core.load(self.class_, self.target[i].matrix((), (0,)), pad=self.ignore)
        core.wait(self.class_)
        core.ne(self.valid, self.class_, self.ignore)
        core.iota(self.rows, i)
        if inner > 1:
            core.floor_divide(self.places, self.rows, inner)
            # position n·P + p of the targets is place n·C·P + class·P + p of the probabilities
            core.mul(self.places, self.places, (classes - 1) * inner)
            core.add(self.rows, self.rows, self.places)
        else:
            core.mul(self.rows, self.rows, classes)
        core.fma(self.places, self.class_, inner, self.rows)
        core.select(self.places, self.valid, self.places, -1)
        core.load(self.picked, self.flat[self.places].matrix((), (0,)))
        core.wait(self.picked)
        if self.weights is None or self.factor is None:
            core.cast(self.weight, self.valid)
        else:
            core.select(self.places, self.valid, self.class_, -1)
            core.load(self.factor, self.weights[self.places].matrix((), (0,)))
            core.wait(self.factor)
            core.cast(self.weight, self.factor)
            core.release(self.factor)
        core.mul(self.loss, self.picked, self.weight)
        core.neg(self.loss, self.loss)
        core.release(self.class_, self.picked)


def _summed(
    core: Core, logp: Tensor, target: Tensor, weight: Tensor | None,
    results: tuple[Tensor, Tensor, Tensor], mean: bool, **options: Any,
) -> None:  # fmt: skip
    """Sums of the losses and of the weights, in parts and then of the parts."""
    loss, total, parts = results
    picked = Picked(core, logp, target, weight, **options)
    sums, more = ([core.registers((1, 1)) for _ in range(2)] for _ in range(2))
    out = [core.scratchpad((1, 1), parts.dtype, 2) for _ in range(2)]
    size, pieces = prod(target.shape), parts.shape[1]
    for q in core.grid(pieces):
        for s in sums:
            core.fill(s, 0)
        for i in piece_blocks(core, size, picked.tm, pieces, q):
            picked.take(i)
            for s, m, values in zip(sums, more, (picked.loss, picked.weight), strict=True):
                core.row_sum(m, values)
                core.add(s, s, m)
        for n, (s, o) in enumerate(zip(sums, out, strict=True)):
            core.acquire(o)
            core.cast(o, s)
            core.store(scalar(parts, n, q), o)
    core.barrier()
    held = [core.scratchpad((1, pieces), parts.dtype) for _ in range(2)]
    ends = [core.scratchpad((1, 1), t.dtype) for t in (loss, total)]
    for _ in core.grid(1):
        for n, h in enumerate(held):
            core.load(h, parts[n, :].matrix((), (0,)))
            core.wait(h)
            core.row_sum(sums[n], h)
            core.release(h)
        core.acquire(*ends)
        core.cast(ends[1], sums[1])
        if mean:
            core.div(sums[0], sums[0], sums[1])
        core.cast(ends[0], sums[0])
        for end, tensor in zip(ends, (loss, total), strict=True):
            core.store(scalar(tensor), end)


def _each(
    core: Core, logp: Tensor, target: Tensor, weight: Tensor | None, loss: Tensor, **options: Any
) -> None:
    """The loss of every position."""
    picked = Picked(core, logp, target, weight, **options)
    out = core.scratchpad((1, picked.tm), loss.dtype, 2)
    size = prod(target.shape)
    for i in core.grid((size, picked.tm)):
        picked.take(i)
        core.acquire(out)
        core.cast(out, picked.loss)
        core.store(shaped(loss, size)[i].matrix((), (0,)), out)


@kernel("logp T[N,C,P]; target i64[N,P] -> loss T[]; total T[]; parts f32[2,Q]", **_EXAMPLE)
def nll_loss(
    core: Core, logp: Tensor, target: Tensor, loss: Tensor, total: Tensor, parts: Tensor,
    mean: bool = True, **options: Any,
) -> None:  # fmt: skip
    """Mean or sum over all positions, and how many of them counted; options of `Picked`."""
    _summed(core, logp, target, None, (loss, total, parts), mean, **options)


@kernel(
    "logp T[N,C,P]; target i64[N,P]; weight T[C] -> loss T[]; total T[]; parts f32[2,Q]",
    **_EXAMPLE,
)
def nll_loss_weighted(
    core: Core, logp: Tensor, target: Tensor, weight: Tensor, loss: Tensor, total: Tensor,
    parts: Tensor, mean: bool = True, **options: Any,
) -> None:  # fmt: skip
    """As `nll_loss` with a weight for each class; `total` is the sum of the weights."""
    _summed(core, logp, target, weight, (loss, total, parts), mean, **options)


@kernel("logp T[N,C,P]; target i64[N,P] -> loss T[N,P]", **_EXAMPLE)
def nll_loss_each(core: Core, logp: Tensor, target: Tensor, loss: Tensor, **options: Any) -> None:
    """The loss of every position."""
    _each(core, logp, target, None, loss, **options)


@kernel("logp T[N,C,P]; target i64[N,P]; weight T[C] -> loss T[N,P]", **_EXAMPLE)
def nll_loss_each_weighted(
    core: Core, logp: Tensor, target: Tensor, weight: Tensor, loss: Tensor, **options: Any
) -> None:
    """The weighted loss of every position."""
    _each(core, logp, target, weight, loss, **options)
