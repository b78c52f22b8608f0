"""A matrix product in six steps, from the obvious kernel to a tuned one: docs/tutorial_kernels.md.

`suiren kernel examples/kernels/matmul.py --on t21` times them all.
"""

from typing import Any

import suiren

SIGNATURE = "a T[M,K]; b T[K,N] -> c T[M,N]"
SIZES: dict[str, Any] = {"M": 6144, "N": 6144, "K": 6144, "T": "bf16"}


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_1(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 128, tk: int = 64, stages: int = 1
) -> None:
    """The obvious kernel: a tile at a time, one buffer of each operand."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn)):
        core.fill(acc, 0)
        for k in core.blocks(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_2(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 128, tk: int = 64, stages: int = 2
) -> None:
    """Two buffers: the next blocks arrive while these are multiplied."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn)):
        core.fill(acc, 0)
        for k in core.blocks(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_3(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 128, tk: int = 64, stages: int = 4
) -> None:
    """Four buffers: as many loads under way as fill the time that each takes."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn)):
        core.fill(acc, 0)
        for k in core.blocks(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_4(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 128, tk: int = 64, stages: int = 4
) -> None:
    """Tiles at work together form a square: they share more of what they read."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn), square=True):
        core.fill(acc, 0)
        for k in core.blocks(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_5(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 256, tk: int = 64, stages: int = 4
) -> None:
    """Larger tiles: every byte that comes in is multiplied more often."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn), square=True):
        core.fill(acc, 0)
        for k in core.blocks(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_6(
    core: Any, a: Any, b: Any, c: Any, tm: int = 128, tn: int = 128, tk: int = 64, stages: int = 4,
    sums: int = 2,
) -> None:  # fmt: skip
    """Step 4 with an accumulator to spare and shared loads: for short sums and for other cards."""
    x = core.scratchpad((tm, tk), a.dtype, stages)
    y = core.scratchpad((tk, tn), b.dtype, stages)
    acc, out = core.registers((tm, tn), "f32", sums), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn), square=True):
        core.acquire(acc)
        first, others = core.blocks(tk, tk), core.blocks(a.shape[1], tk, start=tk)
        for blocks, multiply in ((first, core.product), (others, core.matmul)):
            for k in blocks:
                core.load(x, a[i, k], multicast=j)
                core.load(y, b[k, j], multicast=i)
                core.wait(x, y)
                multiply(acc, x, y)
                core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.release(acc)
        core.store(c[i, j], out)
