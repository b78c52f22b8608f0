"""Copies and layout: clone, contiguous, cat, pad, cast, and transfers over the host link."""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, main_dtype, traffic
from suiren.trace.call import Call

OPS = frozenset(
    """
copy clone contiguous _to_copy cat stack constant_pad_nd fill zero repeat flip roll
slice_backward select_backward _reshape_copy narrow_copy slice_scatter select_scatter _chunk_cat
split_with_sizes_copy diagonal_copy diag_embed arange linspace eye full zeros ones _copy_from
_copy_from_and_resize tril_indices triu_indices repeat_interleave channel_shuffle _cat
lift_fresh_copy _foreach_copy _foreach_zero as_strided_scatter expand_copy permute_copy
_pad_circular unsqueeze_copy transpose_copy _efficientzerotensor rot90 logspace meshgrid diag
diagonal_backward set_data resize _resize_output
""".split()
)

_WRITE_ONLY = frozenset(
    """
fill zero arange linspace eye full zeros ones _foreach_zero tril_indices triu_indices logspace
""".split()
)


def work(call: Call) -> Work:
    """Bytes read and written; over the host link where one side is the host."""
    name = call.name if call.name in OPS else call.name.rstrip("_")
    tensors = [*call.inputs(), *call.results()]
    hosts = [t for t in call.inputs() if t.on_host and t.shape]
    if name == "copy" and any(t.on_host for t in tensors):
        host = max((t.bytes for t in hosts), default=8)
        return Work("transfer", (Kernel(link_bytes=host, launches=1),))
    overwrites = name in ("copy", "_foreach_copy", *_WRITE_ONLY)
    unread = frozenset({"self", "out"}) if overwrites else frozenset({"out"})
    read, written = traffic(call, unread)
    if name in _WRITE_ONLY:
        read = 0
    n = max((t.numel for t in call.results()), default=0)
    return Work("copy", (Kernel(None, n / 2, 0, read, written, dtype=main_dtype(call)),))
