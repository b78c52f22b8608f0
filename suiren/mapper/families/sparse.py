"""Sparse tensors: only what is stored is read; a product fetches a dense row per stored value.

The record names an op of a sparse tensor `sparse::mm` and prints the tensor as the list of its
members: indices and values.
"""

from __future__ import annotations

from suiren.mapper.families.gather import SECTOR_BYTES
from suiren.mapper.work import Kernel, Work, main_dtype, streaming
from suiren.trace.call import Call, Tensor

NAMESPACE = "sparse::"
PRODUCTS = frozenset("mm addmm sspaddmm hspmm bmm addmv mv sampled_addmm _sparse_mm".split())
#: Laid out anew over the same members: nothing moves.
METADATA = frozenset(
    "_sparse_coo_tensor_with_dims_and_tensors _sparse_compressed_tensor_with_dims unsqueeze empty"
    " resize_as_sparse_ sparse_resize_".split()
)
#: Sorting the indices reads and writes them once a pass over their bits, 8 at a time.
SORTS = frozenset("_coalesce add sub add_ sub_ mul".split())
SORT_PASSES = 4


def work(call: Call) -> Work:
    """A gather per stored value for products, sorted indices for sums, else one sweep."""
    if call.name in METADATA:
        return Work("sparse", (Kernel(launches=0),))
    stored = _stored(call)
    if call.name in PRODUCTS and stored is not None:
        return Work("sparse", (_product(call, stored),))
    swept = streaming(call, 2.0 * sum(t.numel for t in call.inputs()))
    kernels = [swept]
    if call.name in SORTS:
        kernels += [Kernel(None, 4.0 * swept.bytes / 8, 0, swept.read_bytes, swept.read_bytes)] * (
            SORT_PASSES
        )
    return Work("sparse", tuple(kernels))


def _stored(call: Call) -> Tensor | None:
    """The values of the first sparse argument: the last of its members."""
    for value in call.arguments.values():
        if isinstance(value, tuple) and value and isinstance(value[-1], Tensor):
            return value[-1]
    return None


def _product(call: Call, stored: Tensor) -> Kernel:
    """Every stored value multiplies one row of the dense operand."""
    results = list(call.results())
    columns = max((t.shape[-1] for t in results if t.shape), default=1)
    row_bytes = columns * stored.itemsize_bytes
    fetched = stored.numel * (-(-row_bytes // SECTOR_BYTES) * SECTOR_BYTES)
    members = sum(
        t.bytes for v in call.arguments.values() if isinstance(v, tuple) for t in v
        if isinstance(t, Tensor)
    )  # fmt: skip
    lanes = 2.0 * stored.numel * columns
    written = sum(t.bytes for t in results)
    return Kernel(None, lanes, 0, members + fetched, written, dtype=main_dtype(call))
