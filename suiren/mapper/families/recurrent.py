"""Fused recurrent cells: what is left of an LSTM or GRU step after its matrix products."""

from __future__ import annotations

from suiren.mapper.work import Work, numel, streaming
from suiren.trace.call import Call

OPS = frozenset(
    """
_thnn_fused_lstm_cell _thnn_fused_gru_cell _thnn_fused_lstm_cell_backward_impl
_thnn_fused_gru_cell_backward
""".split()
)


def work(call: Call) -> Work:
    """Gates through sigmoid and tanh, one pass."""
    n = numel(call)
    return Work("recurrent", (streaming(call, 8.0 * n, 1.0 * n),))
