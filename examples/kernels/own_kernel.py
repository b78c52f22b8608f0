"""Kernels of one's own: `suiren kernel examples/kernels/own_kernel.py --on t21 --show`."""

from typing import Any

import suiren


@suiren.kernel("x T[R,C] -> y T[R,C]", R=16384, C=1024, T="bf16")
def softmax(core: Any, x: Any, y: Any, rows: int = 16, buffers: int = 3) -> None:
    """Softmax over the last axis, fused: every number is read and written once."""
    cols = x.shape[1]
    near = core.scratchpad((rows, cols), x.dtype, buffers)
    out = core.scratchpad((rows, cols), y.dtype, 2)
    e = core.registers((rows, cols))
    top, total = core.registers((rows, 1)), core.registers((rows, 1))
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.row_max(top, near)
        core.sub(e, near, top)
        core.release(near)
        core.exp(e, e)
        core.row_sum(total, e)
        core.reciprocal(total, total)
        core.acquire(out)
        core.mul(out, e, total)
        core.store(y[r, :], out)
