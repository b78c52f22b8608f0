"""Softmax, layer/RMS/batch/group norm and losses over rows, forward and backward."""

from __future__ import annotations

from suiren.mapper.work import Kernel, Work, main_dtype, numel, traffic
from suiren.trace.call import Call

#: op -> (lane operations, special operations) an element, passes over the input.
_COST: dict[str, tuple[float, float, float]] = {
    "_softmax": (4, 1, 1), "_log_softmax": (4, 1, 1), "_safe_softmax": (5, 1, 1),
    "_softmax_backward_data": (4, 0, 1), "_log_softmax_backward_data": (4, 1, 1),
    "native_layer_norm": (6, 0, 1), "native_layer_norm_backward": (12, 0, 1),
    "_fused_rms_norm": (4, 0, 1), "_fused_rms_norm_backward": (9, 0, 1),
    "native_group_norm": (6, 0, 1), "native_group_norm_backward": (12, 0, 1),
    # statistics over the whole batch must be complete before the first element is scaled
    "native_batch_norm": (6, 0, 2), "native_batch_norm_backward": (10, 0, 2),
    "_native_batch_norm_legit": (6, 0, 2), "cudnn_batch_norm": (6, 0, 2),
    "cudnn_batch_norm_backward": (10, 0, 2), "_batch_norm_with_update": (6, 0, 2),
    "batch_norm_backward": (10, 0, 2),
    "nll_loss_forward": (1, 0, 0), "nll_loss_backward": (1, 0, 0),
    "nll_loss2d_forward": (1, 0, 0), "nll_loss2d_backward": (1, 0, 0),
    "logsumexp": (4, 1, 1), "_weight_norm_interface": (4, 0, 1), "logaddexp": (4, 2, 1),
    "_ctc_loss": (8, 2, 1), "_ctc_loss_backward": (8, 2, 1), "renorm": (4, 0, 1),
}  # fmt: skip
OPS = frozenset(_COST)


def work(call: Call) -> Work:
    """One kernel; an op that needs its statistics first reads its input twice."""
    lanes, special, passes = _COST[call.name.rstrip("_") if call.name not in _COST else call.name]
    n = numel(call)
    read, written = traffic(call)
    if "nll_loss" in call.name:  # only the target's column is read
        rows = next((t.numel for t in call.inputs() if t.dtype == "i64"), n)
        size = main_dtype(call)
        read = rows * 64 if "forward" in call.name else rows * 8
        return Work("normalisation", (Kernel(None, rows, 0, read, written, dtype=size),))
    first = next((t.bytes for t in call.inputs()), 0)
    big = sum(t.bytes for t in call.inputs() if t.numel == n)
    extra = (passes - 1) * (big if "backward" in call.name else first)
    kernel = Kernel(None, lanes * n, special * n, read + max(0.0, extra), written,
                    dtype=main_dtype(call))  # fmt: skip
    return Work("normalisation", (kernel,))
