"""Batch norm of the channels of [N, C, P] or [M, C].

    y = (x − mean) · rstd · weight + bias        rstd = 1 / √(variance + eps)

While training, mean and variance are those of the batch. Three phases with barriers between
them: every core takes a piece of the positions of a channel and stores their moments in
`parts` (mean, squared deviations, count); the parts are merged, and the running statistics
moved towards them; every position is normalised. `…_eval` has the last phase alone, with
the running statistics. `…_rows` are for channels that lie side by side.
"""

from __future__ import annotations

from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.dtype import FORMATS
from suiren.kernels.channels import Planes, Rows, channels_of
from suiren.kernels.moments import Moments

_EXAMPLE: dict[str, int | str] = {
    "N": 256, "C": 256, "P": 784, "M": 200704, "Q": 4, "T": "bf16", "W": "f32", "R": "f32",
}  # fmt: skip


def _train(
    core: Core, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
    y: Tensor, mean: Tensor, rstd: Tensor, new_mean: Tensor, new_var: Tensor, parts: Tensor, *,
    eps: float = 1e-5, momentum: float = 0.1, elements: int = 8192, stages: int = 2, **grid: Any,
) -> None:  # fmt: skip
    channels = channels_of(x.shape, parts.shape[1], elements)
    _measure(core, channels, x, parts, stages, grid)
    core.barrier()
    running = (running_mean, running_var, new_mean, new_var)
    _merge(core, parts, mean, rstd, running, channels.positions, eps, momentum)
    core.barrier()
    _normalise(core, channels, x, (weight, bias, mean, rstd), y, stages, None, grid)


def _measure(
    core: Core, channels: Planes | Rows, x: Tensor, parts: Tensor, stages: int, grid: dict[str, Any]
) -> None:
    """Moments of every piece of every channel."""
    wide = FORMATS[x.dtype].accumulator
    held = core.scratchpad(channels.fold_block, x.dtype, stages)
    moments = Moments(core, channels.fold_block, channels.folded, wide)
    out = core.scratchpad(channels.folded, parts.dtype, 3)
    for q, c in channels.fold_tiles(core, **grid):
        moments.clear()
        for place, folded in channels.fold_blocks(core, q, c):
            core.load(held, x[place])
            core.wait(held)
            moments.add(held, folded)
            core.release(held)
        for z, value in enumerate((moments.mean, moments.squares, moments.count)):
            core.acquire(out)
            core.cast(out, value)
            core.store(channels.numbers(parts, c, z, q), out)


def _merge(
    core: Core, parts: Tensor, mean: Tensor, rstd: Tensor, running: tuple[Tensor, ...],
    positions: int, eps: float, momentum: float, width: int = 64,
) -> None:  # fmt: skip
    """Moments of whole channels from those of their pieces, and the running statistics."""
    pieces, width = parts.shape[1], min(width, parts.shape[2])
    held = [core.scratchpad((pieces, width), parts.dtype, 2) for _ in range(3)]
    means, squares, counts = held
    work = core.registers(means.shape, parts.dtype)
    centre, spread, more = (core.registers((1, width), parts.dtype) for _ in range(3))
    moved = [core.scratchpad((1, width), t.dtype, 2) for t in running[:2]]
    out = [core.scratchpad((1, width), t.dtype, 2) for t in (mean, rstd, *running[2:])]
    for c in core.grid((parts.shape[2], width)):
        for z, tile in enumerate(held):
            core.load(tile, parts[z, :, c])
        for tile, tensor in zip(moved, running, strict=False):
            core.load(tile, tensor[c].matrix((), (0,)))
        core.wait(*held, *moved)
        core.mul(work, means, counts)
        core.row_sum(centre, work, axis=0)
        core.mul(centre, centre, 1 / positions)
        # the deviations of the pieces' means count as often as they have positions
        core.sub(work, means, centre)
        core.mul(work, work, work)
        core.fma(work, work, counts, squares)
        core.row_sum(spread, work, axis=0)
        core.release(*held)
        core.acquire(*out)
        core.cast(out[0], centre)
        core.mul(more, spread, 1 / positions)
        core.add(more, more, eps)
        core.rsqrt(out[1], more)
        # running variances are unbiased
        core.mul(spread, spread, 1 / max(1, positions - 1))
        for old, now, new in zip(moved, (centre, spread), out[2:], strict=True):
            core.sub(more, now, old)
            core.fma(new, more, momentum, old)
        core.release(*moved)
        for tile, tensor in zip(out, (mean, rstd, *running[2:]), strict=True):
            core.store(tensor[c].matrix((), (0,)), tile)


def _normalise(
    core: Core, channels: Planes | Rows, x: Tensor, numbers: tuple[Tensor, ...], y: Tensor,
    stages: int, eps: float | None, grid: dict[str, Any],
) -> None:  # fmt: skip
    """Every position, by its channel's weight, bias, mean, and rstd; variance if `eps` is given."""
    block, column = channels.spread_block, channels.spread
    wide = FORMATS[x.dtype].accumulator
    held, out = core.scratchpad(block, x.dtype, stages), core.scratchpad(block, y.dtype, 2)
    work, scale = core.registers(block, wide), core.registers(column, wide)
    tiles = [core.scratchpad(column, t.dtype, stages) for t in numbers]
    weight, bias, mean, rstd = tiles
    for c, blocks in channels.spread_tiles(core, **grid):
        for tile, tensor in zip(tiles, numbers, strict=True):
            core.load(tile, channels.numbers(tensor, c))
        core.wait(*tiles)
        if eps is None:
            core.mul(scale, weight, rstd)
        else:
            core.add(scale, rstd, eps)
            core.rsqrt(scale, scale)
            core.mul(scale, scale, weight)
        for place in blocks:
            core.load(held, x[place])
            core.wait(held)
            core.sub(work, held, mean)
            core.release(held)
            core.acquire(out)
            core.fma(out, work, scale, bias)
            core.store(y[place], out)
        core.release(*tiles)


def _eval(
    core: Core, x: Tensor, weight: Tensor, bias: Tensor, running_mean: Tensor, running_var: Tensor,
    y: Tensor, *, eps: float = 1e-5, elements: int = 8192, stages: int = 2, **grid: Any,
) -> None:  # fmt: skip
    channels = channels_of(x.shape, 1, elements)
    numbers = (weight, bias, running_mean, running_var)
    _normalise(core, channels, x, numbers, y, stages, eps, grid)


def _named(name: str, sizes: str) -> tuple[Kernel, Kernel]:
    """Options: `eps`, `momentum`, `elements` of a tile, `stages`, and those of `Core.grid`."""
    given = f"x T[{sizes}]; weight W[C]; bias W[C]; running_mean R[C]; running_var R[C]"
    made = f"y T[{sizes}]"
    state = "mean R[C]; rstd R[C]; new_mean R[C]; new_var R[C]; parts R[3,Q,C]"

    def train(core: Core, *tensors: Tensor, **options: Any) -> None:
        _train(core, *tensors, **options)

    def infer(core: Core, *tensors: Tensor, **options: Any) -> None:
        _eval(core, *tensors, **options)

    train.__name__, infer.__name__ = f"batch_norm{name}", f"batch_norm_eval{name}"
    return (kernel(f"{given} -> {made}; {state}", **_EXAMPLE)(train),
            kernel(f"{given} -> {made}", **_EXAMPLE)(infer))  # fmt: skip


batch_norm, batch_norm_eval = _named("", "N,C,P")
batch_norm_rows, batch_norm_eval_rows = _named("_rows", "M,C")
