"""Gather and scatter: embedding, index, take, scatter and their backward.

A row is fetched at the granularity of device memory, so a short row costs a whole sector.
"""

from __future__ import annotations

from suiren.dtype import itemsize_bytes
from suiren.mapper.work import Kernel, Work, main_dtype
from suiren.trace.call import Call, Tensor

OPS = frozenset(
    """
embedding embedding_dense_backward embedding_backward index_select index_select_backward gather
gather_backward scatter scatter_add scatter_reduce index index_put _index_put_impl index_add
index_copy index_fill take put take_along_dim masked_select masked_scatter _embedding_bag
_embedding_bag_forward_only _embedding_bag_dense_backward _embedding_bag_backward one_hot
bincount_ _unsafe_index _unsafe_index_put index_reduce unfold_backward histogram
_embedding_bag_per_sample_weights_backward
""".split()
)

#: Smallest piece of device memory a chip fetches, bytes.
SECTOR_BYTES = 32


def work(call: Call) -> Work:
    """Indices and moved elements are read, moved elements are written; tables are not swept."""
    index_bytes = sum(t.bytes for t in _indices(call))
    fetched, stored = _moved(call)
    read, written = index_bytes + fetched, stored
    name = call.name.rstrip("_")
    if name in ("embedding_dense_backward", "_embedding_bag_dense_backward", "embedding_backward"):
        written = sum(
            t.bytes for t in call.results()
        )  # the dense gradient is zeroed, then added to
        read += stored
    elif _accumulates(call):
        read += stored
    lanes = 2.0 * max(fetched, stored) / 4
    kernel = Kernel(None, lanes, 0, read, written, dtype=main_dtype(call))
    return Work("gather", (kernel,))


def _indices(call: Call) -> list[Tensor]:
    """The tensors that say where: by the argument's name."""
    found = [t for name in _INDEX_ARGUMENTS for t in call.tensors(name)]
    return [t for t in found if not t.on_host]


_INDEX_ARGUMENTS = ("indices", "index", "mask", "offsets")


_STORES = ("scatter", "index_put", "_index_put", "index_add", "index_copy", "put", "index_fill",
           "index_reduce", "masked_scatter", "_unsafe_index_put")  # fmt: skip


def _accumulates(call: Call) -> bool:
    added = "add" in call.name or "reduce" in call.name
    return added or call.arguments.get("accumulate") is True


def _moved(call: Call) -> tuple[float, float]:
    """(fetched, stored) bytes: scattered rows in whole sectors, contiguous ones as they are."""
    results = [t for t in call.results() if not t.on_host]
    name = call.name.rstrip("_")
    if "backward" in name:
        gradient = next(iter(call.inputs()))
        return float(gradient.bytes), _in_sectors(gradient)
    if name.startswith(_STORES):
        size = itemsize_bytes(main_dtype(call))
        rows = sum(t.numel for t in _indices(call))
        values = [t for key in ("src", "source", "values", "value") for t in call.tensors(key)]
        given = max((t.numel for t in values), default=0)
        moved = float(max(given, rows * _row(call)) * size)
        return float(given * size), moved
    if not results:
        return 0.0, 0.0
    largest = max(results, key=lambda t: t.numel)
    return _in_sectors(largest), float(largest.bytes)


def _row(call: Call) -> int:
    """Elements behind one index: those of the dimensions that no index selects."""
    if not call.name.startswith(("index_put", "_index_put", "_unsafe_index_put")):
        return 1
    target = call.tensor("self")
    rest = 1
    for n in target.shape[len(_indices(call)) :]:
        rest *= n
    return rest


def _in_sectors(rows: Tensor) -> float:
    """Bytes of rows that lie apart, each in whole sectors."""
    row_bytes = (rows.shape[-1] if rows.shape else 1) * rows.itemsize_bytes
    sectors = -(-row_bytes // SECTOR_BYTES) * SECTOR_BYTES
    return rows.bytes * sectors / max(1, row_bytes)
