"""Rows of streams: pointwise ops, softmax, layer norm. NeuSight's rows here, others by table."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.spec import Card
from suiren.mapper.stream import stream
from suiren.truth import streams_tables, streams_vidur
from suiren.truth.eager import host_of
from suiren.truth.rows import Row
from suiren.truth.streams_rows import layer_norm, softmax


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


def covers(row: Row) -> bool:
    """True for rows of this family."""
    if "NeuSight" in row.source:
        return row.op in OPS or row.op in _ROWS
    if "vidur" in row.source:
        return row.op in streams_vidur.OPS
    if "LLMCompass" in row.source:
        return row.op in ("softmax", "layernorm", "gelu")
    return "gpu-benches" in row.source or streams_tables.flagperf_covers(row)


def seconds(row: Row, card: Card) -> float:
    """Launch and kernel, as the row's table measures it."""
    if "NeuSight" in row.source:
        return neusight_s(row, card)
    if "vidur" in row.source:
        return streams_vidur.seconds(row, card)
    if "LLMCompass" in row.source:
        return streams_tables.llmcompass_s(row, card)
    if "gpu-benches" in row.source:
        return streams_tables.gpu_benches_s(row, card)
    return streams_tables.flagperf_s(row, card)


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
