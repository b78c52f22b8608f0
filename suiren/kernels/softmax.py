"""Softmax and log-softmax along the last dimension or a middle one, forward and backward.

Lines that a core can hold are read once: maximum, exponentials, sum and quotient are all made
in the core. Longer lines are read twice: first for the running maximum and the sum, which is
rescaled whenever the maximum grows, then to write the results.

`…_columns` fold dimension N of [A, N, C]. Results may have a format of their own (`U`).
"""

from __future__ import annotations

from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.lines import At, Lines

#: The lowest finite number of f32: where a running maximum starts, so that it minus -inf is no NaN.
LOWEST = -3.4028234663852886e38


class Running:
    """Largest number of each line and Σ exp(x − largest), block by block."""

    def __init__(self, core: Core, lines: Lines, x: Tensor, stages: int) -> None:
        self.core, self.lines, self.tensor = core, lines, x
        wide = FORMATS[x.dtype].accumulator
        self.x = core.scratchpad(lines.block, x.dtype, stages)
        self.work = core.registers(lines.block, wide)
        self.top, self.total, self.fresh, self.part = (
            core.registers(lines.column, wide) for _ in range(4)
        )

    def read(self, at: At) -> None:
        """Leaves both in `top` and `total`."""
        core, lines = self.core, self.lines
        core.fill(self.top, LOWEST)
        core.fill(self.total, 0)
        for n in lines.blocks(core):
            core.load(self.x, lines.view(self.tensor, at, n), pad=float("-inf"))
            core.wait(self.x)
            core.row_max(self.fresh, self.x, axis=lines.axis)
            core.maximum(self.fresh, self.fresh, self.top)
            core.sub(self.work, self.x, self.fresh)
            core.release(self.x)
            core.exp(self.work, self.work)
            core.sub(self.top, self.top, self.fresh)
            core.exp(self.top, self.top)
            core.row_sum(self.part, self.work, axis=lines.axis)
            core.fma(self.total, self.total, self.top, self.part)
            core.cast(self.top, self.fresh)


class Softmax(Running):
    """The tiles of a core that turns lines of `x` into lines of `y`."""

    def __init__(
        self, core: Core, x: Tensor, y: Tensor, log: bool, *, stages: int = 2, buffers: int = 2,
        **tiles: Any,
    ) -> None:  # fmt: skip
        super().__init__(core, Lines.of(x.shape, **tiles), x, stages)
        self.result, self.log = y, log
        self.y = core.scratchpad(self.lines.block, y.dtype, buffers)
        # a logarithm needs the shifted numbers after their exponentials have been summed
        self.powers = core.registers(self.lines.block, self.work.dtype) if log else self.work

    def run(self) -> None:
        """All lines."""
        for at in self.lines.tiles(self.core):
            if self.lines.are_whole:
                self._whole(at)
            else:
                self.read(at)
                self._close()
                self._write(at)

    def _whole(self, at: At) -> None:
        core, lines = self.core, self.lines
        for n in lines.blocks(core):
            core.load(self.x, lines.view(self.tensor, at, n))
            core.wait(self.x)
            core.row_max(self.top, self.x, axis=lines.axis)
            core.sub(self.work, self.x, self.top)
            core.release(self.x)
            core.exp(self.powers, self.work)
            core.row_sum(self.total, self.powers, axis=lines.axis)
            self._close()
            core.acquire(self.y)
            self._divide()
            core.store(lines.view(self.result, at, n), self.y)

    def _write(self, at: At) -> None:
        """Second reading: the results."""
        core, lines = self.core, self.lines
        for n in lines.blocks(core):
            core.load(self.x, lines.view(self.tensor, at, n))
            core.wait(self.x)
            core.sub(self.work, self.x, self.top)
            core.release(self.x)
            if not self.log:
                core.exp(self.work, self.work)
            core.acquire(self.y)
            self._divide()
            core.store(lines.view(self.result, at, n), self.y)

    def _close(self) -> None:
        """From the sum to what every number of the line is divided by."""
        if self.log:
            self.core.log(self.total, self.total)
        else:
            self.core.reciprocal(self.total, self.total)

    def _divide(self) -> None:
        if self.log:
            self.core.sub(self.y, self.work, self.total)
        else:
            self.core.mul(self.y, self.work, self.total)


class Backward:
    """The tiles of a core that turns gradients of `y` into gradients of `x`.

    Softmax: dx = y · (grad − Σ grad · y); log-softmax: dx = grad − exp(y) · Σ grad.
    """

    def __init__(
        self, core: Core, grad: Tensor, y: Tensor, dx: Tensor, log: bool, *, stages: int = 2,
        buffers: int = 2, **tiles: Any,
    ) -> None:  # fmt: skip
        self.core, self.tensors, self.log = core, (grad, y, dx), log
        self.lines = lines = Lines.of(y.shape, **tiles)
        wide = FORMATS[y.dtype].accumulator
        self.grad = core.scratchpad(lines.block, grad.dtype, stages)
        self.y = core.scratchpad(lines.block, y.dtype, stages)
        self.dx = core.scratchpad(lines.block, dx.dtype, buffers)
        self.work = core.registers(lines.block, wide)
        self.total, self.part = (core.registers(lines.column, wide) for _ in range(2))

    def run(self) -> None:
        """All lines."""
        core, lines = self.core, self.lines
        for at in lines.tiles(core):
            if not lines.are_whole:
                self._running(at)
            for n in lines.blocks(core):
                core.load(self.grad, lines.view(self.tensors[0], at, n))
                core.load(self.y, lines.view(self.tensors[1], at, n))
                core.wait(self.grad, self.y)
                if lines.are_whole:
                    self._sum(self.total)
                core.acquire(self.dx)
                self._subtract()
                core.release(self.grad, self.y)
                core.store(lines.view(self.tensors[2], at, n), self.dx)

    def _running(self, at: At) -> None:
        """First reading: the sum alone, for which a logarithm's results are not needed."""
        core, lines = self.core, self.lines
        read = [(self.grad, self.tensors[0]), (self.y, self.tensors[1])][: 1 if self.log else 2]
        core.fill(self.total, 0)
        for n in lines.blocks(core):
            for tile, tensor in read:
                core.load(tile, lines.view(tensor, at, n))
                core.wait(tile)
            self._sum(self.part)
            core.add(self.total, self.total, self.part)
            for tile, _ in read:
                core.release(tile)

    def _sum(self, into: Tile) -> None:
        core = self.core
        if self.log:
            core.row_sum(into, self.grad, axis=self.lines.axis)
        else:
            core.mul(self.work, self.grad, self.y)
            core.row_sum(into, self.work, axis=self.lines.axis)

    def _subtract(self) -> None:
        core = self.core
        if self.log:
            core.exp(self.work, self.y)
            core.mul(self.work, self.work, self.total)
            core.sub(self.dx, self.grad, self.work)
        else:
            core.sub(self.work, self.grad, self.total)
            core.mul(self.dx, self.work, self.y)


def _forward(name: str, sizes: str, log: bool) -> Kernel:
    """Options: `stages` of loads, `buffers` of results, and those of `Lines.of`."""

    def function(core: Core, x: Tensor, y: Tensor, **options: Any) -> None:
        Softmax(core, x, y, log, **options).run()

    function.__name__ = name
    return kernel(f"x T[{sizes}] -> y U[{sizes}]", **_EXAMPLE)(function)


def _backward(name: str, sizes: str, log: bool) -> Kernel:
    """Options: `stages` of loads, `buffers` of results, and those of `Lines.of`."""

    def function(core: Core, grad: Tensor, y: Tensor, dx: Tensor, **options: Any) -> None:
        Backward(core, grad, y, dx, log, **options).run()

    function.__name__ = name
    return kernel(f"grad U[{sizes}]; y U[{sizes}] -> dx T[{sizes}]", **_EXAMPLE)(function)


_EXAMPLE: dict[str, int | str] = {
    "M": 8192, "N": 4096, "A": 8, "C": 4096, "T": "bf16", "U": "bf16",
}  # fmt: skip

softmax = _forward("softmax", "M,N", log=False)
softmax_columns = _forward("softmax_columns", "A,N,C", log=False)
log_softmax = _forward("log_softmax", "M,N", log=True)
log_softmax_columns = _forward("log_softmax_columns", "A,N,C", log=True)
softmax_backward = _backward("softmax_backward", "M,N", log=False)
softmax_backward_columns = _backward("softmax_backward_columns", "A,N,C", log=False)
log_softmax_backward = _backward("log_softmax_backward", "M,N", log=True)
log_softmax_backward_columns = _backward("log_softmax_backward_columns", "A,N,C", log=True)
