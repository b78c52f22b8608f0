"""Rows of Vidur: the kernels between a layer's products, in f16, as Sarathi-Serve runs them.

Vidur's profiler sums kernel times of a layer's pass, rounded to a microsecond, launches left out.
Activation and norm are taken to be vLLM's kernels of a block a token: up to 1024 threads that
walk along the row one element at a time. Inferred from `fit` rows, like the widths below.
"""

from __future__ import annotations

from suiren.core.pace import vector_lanes
from suiren.hw.spec import Card
from suiren.mapper.stream import stream
from suiren.mapper.stream_rows import RowPlan, rows
from suiren.truth.rows import Row

OPS = ("add", "emb", "input_layernorm", "attn_rope", "mlp_act")
#: Width of keys and values of the models with grouped queries, by (d, dff); not in the table.
_KV_WIDTH = {(8192, 28672): 1024, (4096, 14336): 1024, (8192, 22016): 1024}
#: phi-2 adds two residuals, and its activation is a plain gelu.
_PHI = 2560
#: Instructions of a thread for an element: index arithmetic and scalar accesses of 2 bytes.
ADD_ISSUES, EMBED_ISSUES, ROPE_ISSUES, GELU_ISSUES = 40.0, 240.0, 85.0, 55.0
#: Cycles of a block of 1024 threads: for a row as a whole, and for a turn of its threads.
NORM_CYCLES, NORM_TURN = 1100.0, 1070.0
ACT_CYCLES, ACT_TURN = 800.0, 1120.0
_THREADS, _THREADS_A_CORE = 1024, 2048


def seconds(row: Row, card: Card) -> float:
    """The kernel's time; no launch."""
    tokens, d, dff, tp = row.size("tokens"), row.size("d"), row.size("dff"), row.size("tp")
    if row.op == "input_layernorm":
        return _rows(tokens, d, 2 * d, NORM_CYCLES, NORM_TURN, card)
    if row.op == "mlp_act" and d != _PHI:
        return _rows(tokens, dff // tp, 4 * dff // tp, ACT_CYCLES, ACT_TURN, card)
    if row.op == "add":
        return (2 if d == _PHI else 1) * _stream(tokens * d, 2, ADD_ISSUES, card)
    if row.op == "emb":
        return _stream(tokens * d, 1, EMBED_ISSUES, card)
    if row.op == "attn_rope":
        return _stream(tokens * (d + _KV_WIDTH.get((d, dff), d)) // tp, 1, ROPE_ISSUES, card)
    return _stream(tokens * dff // tp, 1, GELU_ISSUES, card)


def _near(bytes_moved: float, card: Card) -> float:
    """Share of what the kernel before has left in the shared level."""
    return float(min(1.0, card.l2_bytes * card.pace.l2_share / max(1.0, bytes_moved)))


def _stream(elements: int, reads: int, issues: float, card: Card) -> float:
    moved = 2.0 * elements * (reads + 1)
    lanes = issues / _ISSUED * vector_lanes(card, "f32") * card.pace.vector_efficiency
    return stream(2 * reads * elements, 2 * elements, lanes * elements, 0, "f16", card,
                  _near(moved, card)).seconds  # fmt: skip


def _rows(tokens: int, cols: int, in_bytes: int, fixed: float, turn: float, card: Card) -> float:
    turns = -(-cols // _THREADS)
    resident = _THREADS_A_CORE // min(_THREADS, -(-cols // 32) * 32)
    near = _near(tokens * (in_bytes + 2.0 * cols), card)
    # a turn needs what it reads before the next one begins
    turn += (1 - near) * card.memory_latency_s * (card.vector_clock_hz or card.clock_hz)
    plan = RowPlan(resident, 1, (fixed + turn * turns) / resident * card.pace.vector_efficiency)
    return rows(tokens, in_bytes // 2, 0, 0, "f16", card, out_bytes=2 * cols, plan=plan,
                warm=near).seconds  # fmt: skip


#: Threads' instructions that an SM issues in a cycle: four warps of 32.
_ISSUED = 128
