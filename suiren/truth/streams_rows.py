"""Softmax and layer norm as PyTorch's kernels run them.

A row is one block of threads (a short softmax row: one warp), which looks at it again for every
pass; how many threads, rows at a time and looks is PyTorch's choice as we know it from memory
(SoftMax.cu, PersistentSoftmax.cuh, layer_norm_kernel.cu), not checked line by line.
"""

from __future__ import annotations

from suiren.core.timing import Timing
from suiren.dtype import itemsize_bytes
from suiren.hw.spec import Card
from suiren.mapper.stream_rows import RowPlan, rows

#: Instructions of a warp, read off the `fit` rows of V100, T4, A100, P100 and P4 together: for
#: folding a row among all threads of a block, and for a turn of one load a thread.
FOLD_ISSUES, TURN_ISSUES = 560.0, 50.0
#: Bytes of one thread's load.
LOAD_BYTES = 16
#: For a row that one warp holds, and for 32 of its elements.
WARP_ISSUES, SHORT_ISSUES = 36.0, 2.0


def softmax(count: int, cols: int, dtype: str, card: Card) -> Timing:
    """Rows up to 1024: one look, a warp each; longer ones: a block of threads, three looks."""
    most = _threads_a_core(card)
    if cols <= 1024:
        padded = max(32, 1 << (cols - 1).bit_length())
        cycles = (WARP_ISSUES + SHORT_ISSUES * padded / 32) / _issues(card)
        return rows(count, cols, 1, 1, dtype, card, plan=RowPlan(most // 32 * 3 // 4, 1, cycles))
    threads, wide = 32, LOAD_BYTES // itemsize_bytes(dtype)
    while threads < min(cols // wide, 1024) // 2:
        threads *= 2
    turns = cols // (wide * threads) + -(-(cols % (wide * threads)) // threads) + (cols % wide > 0)
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
