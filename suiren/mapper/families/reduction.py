"""Reductions and scans: sum, mean, norms, max, any, cumsum, sort, top-k."""

from __future__ import annotations

from math import log2

from suiren.mapper.work import Kernel, Work, main_dtype, numel, traffic
from suiren.trace.call import Call

_SORTS = frozenset(
    """
sort topk argsort kthvalue median nanmedian mode unique _unique2 unique_dim unique_consecutive
msort searchsorted bucketize histc bincount
""".split()
)
_PLAIN = frozenset(
    """
sum nansum mean prod norm linalg_vector_norm amax amin aminmax max min argmax argmin any all var
std var_mean std_mean cumsum cumprod cummax cummin logcumsumexp count_nonzero dist trace
mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits
kl_div equal is_nonzero nonzero _assert_async isin _local_scalar_dense cross
linalg_cross _cummax_helper _cummin_helper multi_margin_loss multi_margin_loss_backward
multilabel_margin_loss_forward multilabel_margin_loss_backward _pdist_forward _pdist_backward
segment_reduce _segment_reduce_backward nll_loss
""".split()
)
OPS = _PLAIN | _SORTS


def work(call: Call) -> Work:
    """One pass over the input; a sort makes log2(n) passes of compares in the core's memory."""
    n = numel(call)
    read, written = traffic(call)
    name = call.name.rstrip("_") if call.name not in OPS else call.name
    if name == "_local_scalar_dense":
        return Work("reduction", (Kernel(link_bytes=8, launches=0),))
    if name in _SORTS:
        lanes = 2.0 * n * max(1.0, log2(max(2, n)))
        kernel = Kernel(None, lanes, 0, 4 * read, 4 * written, dtype=main_dtype(call), launches=4)
    else:
        kernel = Kernel(None, 2.0 * n, 0, read, written, dtype=main_dtype(call))
    return Work("reduction", (kernel,))
