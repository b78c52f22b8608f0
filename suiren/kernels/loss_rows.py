"""Cross-entropy of rows of numbers that were not made probabilities first.

The forward kernel reads every row once, for its log-sum-exp; the target's own number is
gathered. The backward kernel reads it once more and writes (softmax − target) · grad. Neither
writes or reads probabilities. A target equal to `ignore` counts for nothing.
"""

from __future__ import annotations

from math import prod
from typing import Any

from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.lines import Lines, shaped
from suiren.kernels.softmax import Running

_EXAMPLE: dict[str, int | str] = {"M": 8192, "C": 32000, "T": "bf16"}


@kernel("x T[M,C]; target i64[M] -> loss f32[M]; lse f32[M]", **_EXAMPLE)
def cross_entropy(
    core: Core, x: Tensor, target: Tensor, loss: Tensor, lse: Tensor, ignore: int = -100,
    stages: int = 2, **tiles: Any,
) -> None:  # fmt: skip
    """The loss and the log-sum-exp of every row; `tiles` are those of `Lines.of`."""
    lines = Lines.of(x.shape, **tiles)
    numbers, classes = shaped(x, prod(x.shape)), x.shape[1]
    running, column = Running(core, lines, x, stages), lines.column
    class_ = core.scratchpad(column, target.dtype, stages)
    own = core.scratchpad(column, x.dtype, stages)
    places = core.registers(column, "i32" if prod(x.shape) < 2**31 else "i64")
    valid = core.registers(column, "b8")
    out, lse_out = (core.scratchpad(column, t.dtype, 2) for t in (loss, lse))
    for (i,) in lines.tiles(core):
        core.load(class_, lines.numbers(target, (i,)), pad=ignore)
        core.wait(class_)
        core.ne(valid, class_, ignore)
        core.iota(places, i, axis=0)
        core.fma(places, places, classes, class_)
        core.select(places, valid, places, -1)
        core.release(class_)
        core.load(own, numbers[places].matrix((0,), ()))
        running.read((i,))
        core.log(running.total, running.total)
        core.wait(own)
        core.acquire(out, lse_out)
        core.add(lse_out, running.top, running.total)
        core.sub(running.part, lse_out, own)
        core.select(out, valid, running.part, 0.0)
        core.release(own)
        core.store(lines.numbers(loss, (i,)), out)
        core.store(lines.numbers(lse, (i,)), lse_out)


@kernel("x T[M,C]; target i64[M]; lse f32[M]; grad f32[M] -> dx T[M,C]", **_EXAMPLE)
def cross_entropy_backward(
    core: Core, x: Tensor, target: Tensor, lse: Tensor, grad: Tensor, dx: Tensor,
    ignore: int = -100, stages: int = 2, **tiles: Any,
) -> None:  # fmt: skip
    """Gradients from those of the rows' losses; `tiles` are those of `Lines.of`."""
    lines = Lines.of(x.shape, **tiles)
    wide, column = FORMATS[x.dtype].accumulator, lines.column
    held = [core.scratchpad(column, t.dtype, stages) for t in (target, lse, grad)]
    class_, total, slope = held
    block, out = (
        core.scratchpad(lines.block, x.dtype, stages),
        core.scratchpad(lines.block, dx.dtype, 2),
    )
    work, hit = core.registers(lines.block, wide), core.registers(lines.block, "b8")
    classes, valid = core.registers((1, lines.along), "i32"), core.registers(column, "b8")
    scale = core.registers(column, wide)
    for (i,) in lines.tiles(core):
        for tile, tensor in zip(held, (target, lse, grad), strict=True):
            core.load(tile, lines.numbers(tensor, (i,)))
        core.wait(*held)
        core.ne(valid, class_, ignore)
        core.select(scale, valid, slope, 0.0)
        for n in lines.blocks(core):
            core.load(block, lines.view(x, (i,), n))
            core.wait(block)
            core.sub(work, block, total)
            core.release(block)
            core.exp(work, work)
            core.iota(classes, n)
            core.eq(hit, classes, class_)
            core.sub(work, work, hit)
            core.acquire(out)
            core.mul(out, work, scale)
            core.store(lines.view(dx, (i,), n), out)
        core.release(*held)
