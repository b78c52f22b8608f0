"""A matrix product in six steps, from the obvious kernel to a tuned one: docs/tutorial_kernels.md.

`suiren kernel examples/kernels/matmul.py --on t21` times them all.
"""

from typing import Any

import suiren

SIGNATURE = "a T[M,K]; b T[K,N] -> c T[M,N]"
SIZES: dict[str, Any] = {"M": 6144, "N": 6144, "K": 6144, "T": "bf16"}


@suiren.kernel(SIGNATURE, **SIZES)
def matmul_1(
    core: Any, a: Any, b: Any, c: Any, tm: int = 64, tn: int = 64, tk: int = 128
) -> None:
    """The obvious kernel: small tiles, one buffer of everything."""
    x, y = core.scratchpad((tm, tk), a.dtype), core.scratchpad((tk, tn), b.dtype)
    acc, out = core.registers((tm, tn)), core.scratchpad((tm, tn), c.dtype)
    for i, j in core.grid((c.shape[0], tm), (c.shape[1], tn)):
        core.fill(acc, 0)
        for k in core.loop(a.shape[1], tk):
            core.load(x, a[i, k])
            core.load(y, b[k, j])
            core.wait(x, y)
            core.matmul(acc, x, y)
            core.release(x, y)
        core.acquire(out)
        core.cast(out, acc)
        core.store(c[i, j], out)
