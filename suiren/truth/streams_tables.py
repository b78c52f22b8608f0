"""Streams of the smaller tables: FlagPerf's ops, LLMCompass, gpu-benches' small kernels.

FlagPerf: tensors of `Melements` · 2^20 numbers. That mul takes one tensor and that sigmoid is
timed with its backward pass is read in operation/benchmarks/{mul,sigmoid}/main.py; for the other
ops the tensors, and the backward pass of relu, tanh and silu, are inferred from `fit` rows.
LLMCompass: wall time of one call and a synchronisation, read in software_model/gelu.py (compiled)
and softmax.py; taken to be the same for layer norm.
gpu-benches (gpu-small-kernels): y = a·x in f64, on the same buffers again and again, launched
one by one, as a graph, or from one kernel with a barrier of the grid between (gsync, pt).
"""

from __future__ import annotations

from suiren.core.traffic import survives
from suiren.dtype import itemsize_bytes
from suiren.hw.spec import Card
from suiren.mapper.stream import stream
from suiren.truth.eager import Host
from suiren.truth.rows import Row
from suiren.truth.streams_rows import layer_norm, softmax
from suiren.truth.unknown import NotPredicted
from suiren.units import us

_ONE = "abs cos exp neg reciprocal rsqrt sin gelu bitwise_not mul div pow".split()
_TWO = "add sub rsub bitwise_and bitwise_or".split()
_COMPARE = "eq ne lt le gt ge".split()
_WITH_BACKWARD = "relu sigmoid tanh silu".split()
_FOLD = "max min mean sum prod".split()
_FORMATS = {"FP32": "f32", "FP16": "f16", "BF16": "bf16", "INT32": "i32", "INT16": "i16"}
#: The host of one call and a synchronisation: nine `fit` rows tell the floors (none for softmax)
#: and, where a kernel is just hidden or just not, how much passes before it starts.
_WALL = {
    "softmax": Host(9 * us, 9 * us), "layernorm": Host(53 * us, 29 * us),
    "gelu": Host(47.5 * us, 27 * us),
}  # fmt: skip
#: From one kernel of a graph to the next: median over the cards of their shortest `fit` rows.
GRAPH_LAUNCH_S = 0.25 * us


def flagperf_covers(row: Row) -> bool:
    """True for FlagPerf's pointwise ops and sums."""
    known = (*_ONE, *_TWO, *_COMPARE, *_WITH_BACKWARD, *_FOLD, "dropout")
    return "FlagPerf" in row.source and "Melements" in row.shape and row.op in known


def flagperf_s(row: Row, card: Card) -> float:
    """Kernel time, one launch for every kernel."""
    if row.dtype not in _FORMATS:
        raise NotPredicted(f"the table does not state the format ({row.dtype!r})")
    dtype, numel = _FORMATS[row.dtype], row.size("Melements") * 2**20
    size = itemsize_bytes(dtype)
    passes = [_pass(row, size)]
    if row.op in _WITH_BACKWARD:
        passes.append((2 * size, size))
    return sum(
        stream(reads * numel, writes * numel, 4 * numel, 0, dtype, card).seconds + card.launch_s
        for reads, writes in passes
    )


def _pass(row: Row, size: int) -> tuple[int, int]:
    """Bytes an element that are read and written."""
    if row.op in _TWO:
        return 2 * size, size
    if row.op in _COMPARE:
        return 2 * size, 1
    if row.op in _FOLD:
        return size, 0
    if row.op == "dropout" and "lib=nativetorch" in row.notes:
        return size, size + 1
    return size, size


def llmcompass_s(row: Row, card: Card) -> float:
    """Wall time of one call in f16."""
    sizes = [int(n) for n in row.text.split(",")]
    if row.op == "gelu":
        (numel,) = sizes
        kernel = stream(
            2 * numel, 2 * numel, 20 * numel, numel, "f16", card, _warm(4 * numel, card)
        )
    elif row.op == "softmax":
        kernel = softmax(sizes[0], sizes[1], "f16", card)
    else:
        kernel = layer_norm(sizes[0], sizes[1], "f16", card)
    return _WALL[row.op].seconds(card.launch_s + kernel.seconds)


def gpu_benches_s(row: Row, card: Card) -> float:
    """One small kernel of a series."""
    if row.op != "repeated small stream kernels":
        raise NotPredicted("a rate or a latency whose amount of data the table does not state")
    numel = row.size("elems")
    timing = stream(8 * numel, 8 * numel, numel, 0, "f64", card, _warm(16 * numel, card))
    if row.hardware.endswith("_graph"):
        return timing.seconds + GRAPH_LAUNCH_S
    if row.hardware.endswith(("_gsync", "_pt")):
        return timing.seconds + card.pace.barrier_s
    return timing.seconds + card.launch_s


def _warm(touched_bytes: float, card: Card) -> float:
    """Share that is still near from the run before."""
    return survives(touched_bytes, card)
