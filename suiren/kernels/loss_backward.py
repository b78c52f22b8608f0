"""Losses of classes, backward: every gradient is written once, zeros included.

A core writes whole blocks of classes: the target's column gets its number, all others zero.
`mean` divides by `total`, as the forward pass left it.
"""

from __future__ import annotations

from typing import Any

from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.lines import At, Lines, scalar, shaped

_EXAMPLE: dict[str, int | str] = {"N": 8192, "C": 32000, "P": 1, "T": "bf16"}


class Scatter:
    """The tiles of a core that writes −weight · grad at the targets and zero elsewhere."""

    def __init__(
        self, core: Core, grad: Tensor, target: Tensor, weight: Tensor | None,
        total: Tensor | None, dx: Tensor, *, ignore: int = -100, stages: int = 2, **tiles: Any,
    ) -> None:  # fmt: skip
        (n, classes, inner), self.core, self.ignore = dx.shape, core, ignore
        self.dx = dx if inner > 1 else shaped(dx, n, classes)
        self.target = target if inner > 1 else shaped(target, n)
        # one gradient for all positions, or one for each of them
        self.grad = grad if inner > 1 or not grad.shape else shaped(grad, n)
        self.weight, self.total = weight, total
        self.lines = lines = Lines.of(self.dx.shape, **tiles)
        wide = FORMATS[dx.dtype].accumulator
        one = lines.column if grad.shape else (1, 1)
        self.class_ = core.scratchpad(lines.column, target.dtype, stages)
        self.slope = core.scratchpad(one, grad.dtype, stages)
        self.factor = core.scratchpad(lines.column, dx.dtype, stages)
        self.divisor = core.scratchpad((1, 1), dx.dtype)
        self.valid = core.registers(lines.column, "b8")
        self.places = core.registers(lines.column, "i32")
        self.value = core.registers(lines.column, wide)
        across = (1, lines.along) if lines.axis == 1 else (lines.along, 1)
        self.classes, self.hit = core.registers(across, "i32"), core.registers(lines.block, "b8")
        self.out = core.scratchpad(lines.block, dx.dtype, 2)

    def run(self) -> None:
        """All positions."""
        core, lines = self.core, self.lines
        for at in lines.tiles(core):
            core.load(self.class_, lines.numbers(self.target, at), pad=self.ignore)
            core.wait(self.class_)
            core.ne(self.valid, self.class_, self.ignore)
            self._value(at)
            for n in lines.blocks(core):
                core.iota(self.classes, n, axis=lines.axis)
                core.eq(self.hit, self.classes, self.class_)
                core.acquire(self.out)
                core.select(self.out, self.hit, self.value, 0.0)
                core.store(lines.view(self.dx, at, n), self.out)
            core.release(self.class_)

    def _value(self, at: At) -> None:
        """What the target's column of each position gets."""
        core = self.core
        grad = self.lines.numbers(self.grad, at) if self.grad.shape else scalar(self.grad)
        core.load(self.slope, grad)
        core.wait(self.slope)
        core.cast(self.value, self.slope)
        core.neg(self.value, self.value)
        core.release(self.slope)
        if self.weight is not None:
            core.select(self.places, self.valid, self.class_, -1)
            weights = self.weight[self.places]
            down = self.lines.axis == 1
            core.load(self.factor, weights.matrix((0,), ()) if down else weights.matrix((), (0,)))
            core.wait(self.factor)
            core.mul(self.value, self.value, self.factor)
            core.release(self.factor)
        if self.total is not None:
            core.load(self.divisor, scalar(self.total))
            core.wait(self.divisor)
            core.div(self.value, self.value, self.divisor)
            core.release(self.divisor)
        core.select(self.value, self.valid, self.value, 0.0)


@kernel("grad T[]; target i64[N,P]; total T[] -> dx T[N,C,P]", **_EXAMPLE)
def nll_loss_backward(
    core: Core, grad: Tensor, target: Tensor, total: Tensor, dx: Tensor, mean: bool = True,
    **options: Any,
) -> None:  # fmt: skip
    """Gradient of the mean or the sum over all positions; options of `Scatter`."""
    Scatter(core, grad, target, None, total if mean else None, dx, **options).run()


@kernel("grad T[]; target i64[N,P]; weight T[C]; total T[] -> dx T[N,C,P]", **_EXAMPLE)
def nll_loss_weighted_backward(
    core: Core, grad: Tensor, target: Tensor, weight: Tensor, total: Tensor, dx: Tensor,
    mean: bool = True, **options: Any,
) -> None:  # fmt: skip
    """As `nll_loss_backward` with a weight for each class."""
    Scatter(core, grad, target, weight, total if mean else None, dx, **options).run()


@kernel("grad T[N,P]; target i64[N,P] -> dx T[N,C,P]", **_EXAMPLE)
def nll_loss_each_backward(
    core: Core, grad: Tensor, target: Tensor, dx: Tensor, **options: Any
) -> None:
    """Gradient where every position has a loss of its own."""
    Scatter(core, grad, target, None, None, dx, **options).run()


@kernel("grad T[N,P]; target i64[N,P]; weight T[C] -> dx T[N,C,P]", **_EXAMPLE)
def nll_loss_each_weighted_backward(
    core: Core, grad: Tensor, target: Tensor, weight: Tensor, dx: Tensor, **options: Any
) -> None:
    """As `nll_loss_each_backward` with a weight for each class."""
    Scatter(core, grad, target, weight, None, dx, **options).run()
