"""Fourier transforms: radix-8 passes over lines that a core holds, each line once through memory.

5 n log2(n) FLOP a line of n is the field's own count (Frigo and Johnson, FFTW, 2005); a fused
multiply-add is one lane operation.
"""

from __future__ import annotations

from math import log2, prod

from suiren.mapper.work import Kernel, Work, main_dtype, traffic
from suiren.trace.call import Call

OPS = frozenset("_fft_c2c _fft_r2c _fft_c2r fft_fftshift fft_ifftshift".split())


def work(call: Call) -> Work:
    """One kernel a transformed dimension: all lines are read and written once."""
    axes = call.ints("dim") or (-1,)
    largest = max((*call.inputs(), *call.results()), key=lambda t: t.numel)
    sizes = [largest.shape[axis] for axis in axes if largest.shape]
    read, written = traffic(call, frozenset({"out"}))
    lines = 2.5 * largest.numel
    kernels = [
        Kernel(None, lines * log2(max(2, size)), 0, read, written, dtype=main_dtype(call))
        for size in sizes or [max(1, prod(largest.shape))]
    ]
    return Work("fourier", tuple(kernels))
