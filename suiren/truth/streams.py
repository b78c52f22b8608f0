"""Rows of streams: pointwise ops, softmax, layer norm, as PyTorch's kernels run them.

A pointwise op is one pass over its tensors. Softmax and layer norm of PyTorch work on a row with
one block of threads (on short softmax rows: with one warp) and look at it again; how many
threads, rows at a time and looks is read in aten/src/ATen/native/cuda/SoftMax.cu,
PersistentSoftmax.cuh and layer_norm_kernel.cu.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.core.timing import Timing
from suiren.hw.spec import Card
from suiren.mapper.stream import stream
from suiren.mapper.stream_rows import RowPlan, rows
from suiren.truth import streams_vidur
from suiren.truth.eager import host_of
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted


@dataclass(frozen=True, slots=True)
class Op:
    """A pointwise op: tensors read and written, work of one element."""

    reads: int
    writes: int
    lanes: float
    special: float = 0.0


#: Lane operations of `powf`, which is no instruction of any GPU: CUDA's, and ROCm's.
POW_LANES, POW_LANES_ROCM = 58.0, 180.0
_UNARY, _BINARY = Op(1, 1, 1), Op(2, 1, 1)
OPS = {
    "add": _BINARY, "mul": _BINARY, "div": Op(2, 1, 8, 1), "pow": Op(2, 1, POW_LANES),
    "addu": _UNARY, "mulu": _UNARY, "divu": Op(1, 1, 8, 1), "powu": Op(1, 1, POW_LANES),
    "relu": _UNARY, "gelu": Op(1, 1, 20, 1), "tanh": Op(1, 1, 15, 1),
}  # fmt: skip
_ROWS = ("softmax", "ln")
#: Instructions of a warp, read off the `fit` rows of V100, T4, A100, P100 and P4 together: for
#: folding a row among all threads of a block, and for a turn of four elements a thread.
FOLD_ISSUES, TURN_ISSUES = 560.0, 42.0
#: For a row that one warp holds, and for 32 of its elements.
WARP_ISSUES, SHORT_ISSUES = 36.0, 2.0


def covers(row: Row) -> bool:
    """True for rows of this family."""
    if "NeuSight" in row.source:
        return row.op in OPS or row.op in _ROWS
    return "vidur" in row.source and row.op in streams_vidur.OPS


def seconds(row: Row, card: Card) -> float:
    """Launch and kernel, as the row's table measures it."""
    if "vidur" in row.source:
        return streams_vidur.seconds(row, card)
    return neusight_s(row, card)


def neusight_s(row: Row, card: Card) -> float:
    """One eager call in f32 between two events."""
    count, cols = row.size("B"), row.size("H")
    if row.op == "softmax":
        timing = softmax(count, cols, "f32", card)
    elif row.op == "ln":
        timing = layer_norm(count, cols, "f32", card)
    else:
        op, numel = OPS[row.op], count * cols
        slow = card.chip.vendor == "AMD" and op.lanes == POW_LANES
        lanes = POW_LANES_ROCM if slow else op.lanes
        timing = stream(4 * op.reads * numel, 4 * op.writes * numel, lanes * numel,
                        op.special * numel, "f32", card)  # fmt: skip
    return host_of(row, card.name).seconds(card.launch_s + timing.seconds)


def softmax(count: int, cols: int, dtype: str, card: Card) -> Timing:
    """Rows up to 1024: one look, a warp each; longer ones: a block of threads, three looks."""
    most = _threads_a_core(card)
    if cols <= 1024:
        padded = max(32, 1 << (cols - 1).bit_length())
        cycles = (WARP_ISSUES + SHORT_ISSUES * padded / 32) / _issues(card)
        return rows(count, cols, 1, 1, dtype, card, plan=RowPlan(most // 32 * 3 // 4, 1, cycles))
    threads = 32
    while threads < min(cols // 4, 1024) // 2:
        threads *= 2
    turns = cols // (4 * threads) + -(-(cols % (4 * threads)) // threads) + (cols % 4 > 0)
    plan = RowPlan(max(1, min(16, most // threads)), 3, _cycles(threads, turns, card))
    return rows(count, cols, 1, 2, dtype, card, plan=plan)


def layer_norm(count: int, cols: int, dtype: str, card: Card) -> Timing:
    """A block of 128 threads a row, two looks."""
    cycles = _cycles(128, -(-cols // 512), card)
    plan = RowPlan(min(16, _threads_a_core(card) // 128), 2, cycles)
    return rows(count, cols, 1, 0, dtype, card, plan=plan)


def _cycles(threads: int, turns: int, card: Card) -> float:
    """Cycles for which a row's block of threads keeps a core issuing."""
    warps = max(1, threads // (64 if card.chip.vendor == "AMD" else 32))
    return warps * (FOLD_ISSUES + TURN_ISSUES * turns) / _issues(card)


def _issues(card: Card) -> int:
    """Warps' instructions a core issues in a cycle: four schedulers; a CU's four issue in turn."""
    return 1 if card.chip.vendor == "AMD" else 4


def _threads_a_core(card: Card) -> int:
    return 1024 if card.chip.family == "turing" else 2048
