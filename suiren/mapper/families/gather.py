"""Gather and scatter: embedding, index, take, scatter and their backward.

A row is fetched at the granularity of device memory, so a short row costs a whole sector.
"""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, main_dtype
from suiren.trace.call import Call, Tensor

OPS = frozenset({"embedding", "embedding_dense_backward", "embedding_backward", "index_select",
                 "index_select_backward", "gather", "gather_backward", "scatter", "scatter_add",
                 "scatter_reduce", "index", "index_put", "_index_put_impl", "index_add", "index_copy",
                 "index_fill", "take", "put", "take_along_dim", "masked_select", "masked_scatter",
                 "_embedding_bag", "_embedding_bag_forward_only", "_embedding_bag_dense_backward",
                 "_embedding_bag_backward", "one_hot", "bincount_", "_unsafe_index",
                 "_unsafe_index_put", "index_reduce", "unfold_backward", "histogram",
                 "_embedding_bag_per_sample_weights_backward"})  # fmt: skip

#: Smallest piece of device memory a chip fetches, bytes.
SECTOR_BYTES = 32


def work(call: Call) -> Work:
    """Indices and moved elements are read, moved elements are written; tables are not swept."""
    tensors = [t for t in call.inputs() if not t.on_host]
    results = [t for t in call.results() if not t.on_host]
    indices = [t for t in tensors if t.dtype in ("i64", "i32", "b8")]
    moved = _moved(call, tensors, results)
    read = sum(t.bytes for t in indices) + moved
    written = moved
    name = call.name
    if name in ("embedding_dense_backward", "_embedding_bag_dense_backward"):
        written = sum(t.bytes for t in results)  # the dense gradient is zeroed, then added to
        read += moved
    elif name.endswith("_") or name.startswith(("index_put", "_index_put", "index_add")):
        read += moved if "accumulate" in call.arguments or "add" in name else 0
    return Work("gather", (Kernel(None, 2.0 * moved / 4, 0, read, written,
                                  dtype=main_dtype(call)),))  # fmt: skip


def _moved(call: Call, tensors: list[Tensor], results: list[Tensor]) -> float:
    """Bytes of the rows that are fetched or stored, in whole sectors."""
    values: Tensor | None
    if "scatter" in call.name or "put" in call.name or "backward" in call.name:
        values = next((t for t in reversed(tensors) if t.dtype not in ("i64", "b8")), None)
        if "backward" in call.name and tensors:
            values = tensors[0]
    else:
        values = max(results, key=lambda t: t.numel, default=None)
    if values is None:
        return 0.0
    row_bytes = (values.shape[-1] if values.shape else 1) * values.itemsize_bytes
    if call.name in ("embedding", "embedding_dense_backward", "index_select"):
        waste = -(-row_bytes // SECTOR_BYTES) * SECTOR_BYTES / max(1, row_bytes)
        return values.bytes * waste
    return float(values.bytes)
