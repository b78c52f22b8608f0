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

from suiren.core.language import Core, Kernel, kernel
from suiren.core.tile import Tensor, Tile
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
    _normalise(core, channels, x, weight, bias, mean, rstd, y, stages, None, grid)


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
            core.store(channels.numbers(_layer(parts, z, q), c), out)
