"""Softmax in six steps, from the obvious kernel to a tuned one: docs/tutorial_kernels.md.

`suiren kernel examples/kernels/softmax.py --on t21` times them all.
"""

from typing import Any

import suiren

LOG2_E = 1.4426950408889634
SIGNATURE = "x T[R,C] -> y T[R,C]"
SIZES: dict[str, Any] = {"R": 16384, "C": 1024, "T": "bf16"}


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_1(core: Any, x: Any, y: Any, rows: int = 1) -> None:
    """As the formula says: one row at a time, one buffer of each, in f32 throughout."""
    cols = x.shape[1]
    near, out = core.scratchpad((rows, cols), x.dtype), core.scratchpad((rows, cols), y.dtype)
    wide, e = core.registers((rows, cols)), core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(wide, near)
        core.row_max(top, wide)
        core.sub(wide, wide, top)
        core.exp(e, wide)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.release(near)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_2(core: Any, x: Any, y: Any, rows: int = 8) -> None:
    """Fewer, longer instructions: several rows a tile."""
    cols = x.shape[1]
    near, out = core.scratchpad((rows, cols), x.dtype), core.scratchpad((rows, cols), y.dtype)
    wide, e = core.registers((rows, cols)), core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(wide, near)
        core.row_max(top, wide)
        core.sub(wide, wide, top)
        core.exp(e, wide)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.release(near)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_3(core: Any, x: Any, y: Any, rows: int = 8, buffers: int = 3) -> None:
    """Copies beside the engines: more buffers, and each given back after its last use."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, 2)
    wide, e = core.registers((rows, cols)), core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(wide, near)
        core.release(near)
        core.row_max(top, wide)
        core.sub(wide, wide, top)
        core.exp(e, wide)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_4(core: Any, x: Any, y: Any, rows: int = 16, buffers: int = 3) -> None:
    """Fewer passes: one reciprocal a row, and the casts ride along in other instructions."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, 2)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.row_max(top, near)
        core.mul(top, top, -LOG2_E)
        core.fma(e, near, LOG2_E, top)
        core.release(near)
        core.exp2(e, e)
        core.row_sum(total, e)
        core.reciprocal(total, total)
        core.acquire(out)
        core.mul(out, e, total)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_5(
    core: Any, x: Any, y: Any, rows: int = 8, streams: int = 2, buffers: int = 3
) -> None:
    """Independent streams of rows in a tile: one's exponentials run beside another's sums."""
    cols = x.shape[1]
    near = [core.scratchpad((rows, cols), x.dtype, buffers) for _ in range(streams)]
    out = [core.scratchpad((rows, cols), y.dtype, 2) for _ in range(streams)]
    e = [core.registers((rows, cols)) for _ in range(streams)]
    top, total = ([core.registers((rows, 1)) for _ in range(streams)] for _ in range(2))
    for r in core.grid((x.shape[0] // (rows * streams), 1)):
        pieces = [r * 1 for s in range(streams)]
        _ = pieces
