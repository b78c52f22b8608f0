"""Pooling, upsampling and other window ops of vision models."""

from __future__ import annotations

from math import prod

from suiren.mapper.work import Work, streaming
from suiren.trace.call import Call

_NAMES = """max_pool2d_with_indices avg_pool2d adaptive_avg_pool2d _adaptive_avg_pool2d
adaptive_max_pool2d max_pool3d_with_indices avg_pool3d _adaptive_avg_pool3d avg_pool1d
adaptive_max_pool1d upsample_nearest2d upsample_bilinear2d upsample_nearest1d upsample_linear1d
upsample_bicubic2d upsample_nearest3d upsample_trilinear3d _upsample_nearest_exact2d
_upsample_bilinear2d_aa grid_sampler_2d grid_sampler_3d im2col col2im pixel_shuffle
pixel_unshuffle reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d
reflection_pad3d replication_pad3d max_unpool2d""".split()
OPS = frozenset(_NAMES) | frozenset(f"{name}_backward" for name in _NAMES)


def work(call: Call) -> Work:
    """Every result element looks at its window once."""
    window = prod(call.ints("kernel_size", (2, 2)))
    if "adaptive" in call.name:
        tensors = [*call.inputs(), *call.results()]
        window = max(1, max(t.numel for t in tensors) // max(1, min(t.numel for t in tensors)))
    out = max((t.numel for t in call.results()), default=0)
    smallest = min((t.numel for t in (*call.inputs(), *call.results())), default=out)
    return Work("pooling", (streaming(call, float(min(out, smallest) * window + out)),))
