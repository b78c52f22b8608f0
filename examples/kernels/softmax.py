"""Softmax in six steps, from the formula as it stands to a tuned kernel: docs/tutorial_kernels.md.

`suiren kernel examples/kernels/softmax.py --on t21` times them all.
"""

from typing import Any

import suiren
from suiren.core.index import Range

LOG2_E = 1.4426950408889634
SIGNATURE = "x T[R,C] -> y T[R,C]"
SIZES: dict[str, Any] = {"R": 16384, "C": 1024, "T": "bf16"}


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_1(core: Any, x: Any, y: Any, rows: int = 1) -> None:
    """As the formula stands: one buffer of everything, every pass on its own, in f32."""
    cols = x.shape[1]
    near, out = core.scratchpad((rows, cols), x.dtype), core.scratchpad((rows, cols), y.dtype)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(e, near)
        core.row_max(top, e)
        core.sub(e, e, top)
        core.exp(e, e)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.release(near)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_2(core: Any, x: Any, y: Any, rows: int = 1, buffers: int = 3) -> None:
    """More buffers: the next rows arrive while these are worked on."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, buffers)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(e, near)
        core.release(near)
        core.row_max(top, e)
        core.sub(e, e, top)
        core.exp(e, e)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_3(core: Any, x: Any, y: Any, rows: int = 8, buffers: int = 3) -> None:
    """More rows a tile: what an instruction costs besides its numbers is shared by more."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, buffers)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.cast(e, near)
        core.release(near)
        core.row_max(top, e)
        core.sub(e, e, top)
        core.exp(e, e)
        core.row_sum(total, e)
        core.div(e, e, total)
        core.acquire(out)
        core.cast(out, e)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_4(core: Any, x: Any, y: Any, rows: int = 8, buffers: int = 3) -> None:
    """Fewer passes: one reciprocal a row, one fma for shift and scale, no cast of its own."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, buffers)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1), x.dtype), core.registers((rows, 1))
    shift = core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.row_max(top, near)
        core.mul(shift, top, -LOG2_E)
        core.fma(e, near, LOG2_E, shift)
        core.release(near)
        core.exp2(e, e)
        core.row_sum(total, e)
        core.reciprocal(total, total)
        core.acquire(out)
        core.mul(out, e, total)
        core.store(y[r, :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_5(core: Any, x: Any, y: Any, rows: int = 8, streams: int = 2) -> None:
    """Independent streams of rows: one's exponentials run beside another's lane operations."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, 2 * streams)
    out = core.scratchpad((rows, cols), y.dtype, 2)
    e = [core.registers((rows, cols)) for _ in range(streams)]
    top, shift = core.registers((rows, 1), x.dtype), core.registers((rows, 1))
    total = [core.registers((rows, 1)) for _ in range(streams)]
    for block in core.grid(-(-x.shape[0] // (rows * streams))):
        pieces = [Range(block * (rows * streams) + s * rows, rows) for s in range(streams)]
        for s in range(streams):
            core.load(near, x[pieces[s], :])
            core.wait(near)
            core.row_max(top, near)
            core.mul(shift, top, -LOG2_E)
            core.fma(e[s], near, LOG2_E, shift)
            core.release(near)
            core.exp2(e[s], e[s])
        for s in range(streams):
            core.row_sum(total[s], e[s])
            core.reciprocal(total[s], total[s])
            core.acquire(out)
            core.mul(out, e[s], total[s])
            core.store(y[pieces[s], :], out)


@suiren.kernel(SIGNATURE, **SIZES)
def softmax_6(core: Any, x: Any, y: Any, rows: int = 8, streams: int = 22) -> None:
    """A pipeline of streams: four are under way at once, and no result is needed right away."""
    cols = x.shape[1]
    near = [core.scratchpad((rows, cols), x.dtype, 3) for _ in range(2)]
    out = core.scratchpad((rows, cols), y.dtype, 2)
    e = [core.registers((rows, cols)) for _ in range(3)]
    top = [core.registers((rows, 1), x.dtype) for _ in range(2)]
    shift = core.registers((rows, 1))
    total = [core.registers((rows, 1)) for _ in range(3)]
    for block in core.grid(-(-x.shape[0] // (rows * streams))):
        pieces = [Range(block * (rows * streams) + s * rows, rows) for s in range(streams)]
        for turn in range(streams + 3):
            if (s := turn) < streams:  # this stream's largest numbers
                core.load(near[s % 2], x[pieces[s], :])
                core.wait(near[s % 2])
                core.row_max(top[s % 2], near[s % 2])
            if 0 <= (s := turn - 1) < streams:  # powers of the one before
                core.mul(shift, top[s % 2], -LOG2_E)
                core.fma(e[s % 3], near[s % 2], LOG2_E, shift)
                core.release(near[s % 2])
                core.exp2(e[s % 3], e[s % 3])
            if 0 <= (s := turn - 2) < streams:  # sums of the one before that
                core.row_sum(total[s % 3], e[s % 3])
                core.reciprocal(total[s % 3], total[s % 3])
            if (s := turn - 3) >= 0:  # results
                core.acquire(out)
                core.mul(out, e[s % 3], total[s % 3])
                core.store(y[pieces[s], :], out)
