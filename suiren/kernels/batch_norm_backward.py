"""Batch norm, backward.

With c = x − mean, n positions a channel, and sums over all positions of a channel:

    dbias = Σ grad      dweight = rstd · Σ grad · c
    dx = weight · rstd · (grad − Σ grad / n − c · rstd² · Σ grad · c / n)

Three phases with barriers between them: pieces of both sums, whole sums with the gradients of
weight and bias, and dx. With `training=False` mean and rstd were not the batch's own, and
dx = weight · rstd · grad.
"""

from __future__ import annotations

from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.channels import Planes, Rows, channels_of
from suiren.kernels.moments import fold

_EXAMPLE: dict[str, int | str] = {
    "N": 256, "C": 256, "P": 784, "M": 200704, "Q": 4, "T": "bf16", "W": "f32", "R": "f32",
}  # fmt: skip


def _backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, dx: Tensor,
    dweight: Tensor, dbias: Tensor, sums: Tensor, parts: Tensor, *, training: bool = True,
    elements: int = 8192, stages: int = 2, **grid: Any,
) -> None:  # fmt: skip
    channels = channels_of(x.shape, parts.shape[1], elements)
    _measure(core, channels, grad, x, mean, parts, stages, grid)
    core.barrier()
    _add_up(core, parts, rstd, (sums, dbias, dweight))
    if training:
        core.barrier()
    numbers = (weight, rstd, mean)
    _spread(core, channels, grad, x, numbers, sums if training else None, dx, stages, grid)


def _measure(
    core: Core, channels: Planes | Rows, grad: Tensor, x: Tensor, mean: Tensor, parts: Tensor,
    stages: int, grid: dict[str, Any],
) -> None:  # fmt: skip
    """Σ grad and Σ grad · (x − mean) of every piece of every channel."""
    block, small, wide = channels.fold_block, channels.folded, FORMATS[x.dtype].accumulator
    slope, held = (core.scratchpad(block, t.dtype, stages) for t in (grad, x))
    centre = core.scratchpad(small, mean.dtype, stages)
    work, between = core.registers(block, wide), core.registers((block[0], 1), wide)
    sums = [core.registers(small, wide) for _ in range(2)]
    more, out = core.registers(small, wide), core.scratchpad(small, parts.dtype, 2)
    for q, c in channels.fold_tiles(core, **grid):
        core.load(centre, channels.numbers(mean, c))
        core.wait(centre)
        for total in sums:
            core.fill(total, 0)
        for place, _ in channels.fold_blocks(core, q, c):
            core.load(slope, grad[place])
            core.load(held, x[place])
            core.wait(slope, held)
            fold(core, more, slope, between)
            core.add(sums[0], sums[0], more)
            # past an edge the gradient is 0, whatever x − mean is
            core.sub(work, held, centre)
            core.mul(work, work, slope)
            core.release(slope, held)
            fold(core, more, work, between)
            core.add(sums[1], sums[1], more)
        core.release(centre)
        for z, total in enumerate(sums):
            core.acquire(out)
            core.cast(out, total)
            core.store(channels.numbers(parts, c, z, q), out)


def _add_up(
    core: Core, parts: Tensor, rstd: Tensor, results: tuple[Tensor, Tensor, Tensor], width: int = 64
) -> None:
    """Sums of whole channels, and the gradients of bias and weight."""
    sums, dbias, dweight = results
    pieces, width = parts.shape[1], min(width, parts.shape[2])
    held = core.scratchpad((pieces, width), parts.dtype, 2)
    scale = core.scratchpad((1, width), rstd.dtype, 2)
    total = core.scratchpad((1, width), sums.dtype, 2)
    out = core.scratchpad((1, width), dbias.dtype, 2)
    for c in core.grid((parts.shape[2], width)):
        core.load(scale, rstd[c].matrix((), (0,)))
        core.wait(scale)
        for z, gradient in enumerate((dbias, dweight)):
            core.load(held, parts[z, :, c])
            core.wait(held)
            core.acquire(total, out)
            core.row_sum(total, held, axis=0)
            core.release(held)
            if z:
                core.mul(out, total, scale)
            else:
                core.cast(out, total)
            core.store(sums[z, c].matrix((), (0,)), total)
            core.store(gradient[c].matrix((), (0,)), out)
        core.release(scale)


def _spread(
    core: Core, channels: Planes | Rows, grad: Tensor, x: Tensor, numbers: tuple[Tensor, ...],
    sums: Tensor | None, dx: Tensor, stages: int, grid: dict[str, Any],
) -> None:  # fmt: skip
    """Gradients of every position: weight · rstd · (grad − alone − (x − mean) · along)."""
    block, column, wide = channels.spread_block, channels.spread, FORMATS[x.dtype].accumulator
    slope, held = (core.scratchpad(block, t.dtype, stages) for t in (grad, x))
    tiles = [core.scratchpad(column, t.dtype, stages) for t in numbers]
    (weight, rstd, mean), out = tiles, core.scratchpad(block, dx.dtype, 2)
    totals = [core.scratchpad(column, rstd.dtype, stages) for _ in range(2 if sums else 0)]
    work, scale = core.registers(block, wide), core.registers(column, wide)
    along, alone = (core.registers(column, wide) for _ in range(2))
    for c, blocks in channels.spread_tiles(core, **grid):
        for tile, tensor in zip(tiles, numbers, strict=True):
            core.load(tile, channels.numbers(tensor, c))
        for z, tile in enumerate(totals):
            core.load(tile, channels.numbers(sums or x, c, z))
        core.wait(*tiles, *totals)
        core.mul(scale, weight, rstd)
        if totals:
            core.mul(along, rstd, rstd)
            core.mul(along, along, totals[1])
            core.mul(along, along, -1 / channels.positions)
            core.mul(alone, totals[0], -1 / channels.positions)
        for place in blocks:
            core.load(slope, grad[place])
            core.wait(slope)
            if totals:
                core.load(held, x[place])
                core.wait(held)
                core.sub(work, held, mean)
                core.release(held)
                core.fma(work, work, along, slope)
                core.add(work, work, alone)
            core.acquire(out)
            core.mul(out, work if totals else slope, scale)
            core.release(slope)
            core.store(dx[place], out)
        core.release(*tiles, *totals)


def _named(name: str, sizes: str) -> Kernel:
    """Options: `training`, `elements` of a tile, `stages`, and those of `Core.grid`."""

    def function(core: Core, *tensors: Tensor, **options: Any) -> None:
        _backward(core, *tensors, **options)

    function.__name__ = f"batch_norm_backward{name}"
    return kernel(
        f"grad T[{sizes}]; x T[{sizes}]; weight W[C]; mean R[C]; rstd R[C] -> dx T[{sizes}]; "
        "dweight W[C]; dbias W[C]; sums R[2,C]; parts R[2,Q,C]",
        **_EXAMPLE,
    )(function)


batch_norm_backward = _named("", "N,C,P")
batch_norm_backward_rows = _named("_rows", "M,C")
