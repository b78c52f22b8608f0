"""Rows of matrix products: GEMM, linear, batched."""

from __future__ import annotations

from suiren.core.pace import vector_lanes
from suiren.dtype import bits_of, itemsize_bytes, moved_bytes
from suiren.hw.spec import Card
from suiren.mapper.candidate import Shape
from suiren.mapper.power import held_s
from suiren.mapper.tune import tune
from suiren.truth.protocol import Protocol, protocol_of
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted

#: Formats as tables spell them -> stored format.
FORMATS = {
    "bfloat16": "bf16", "bf16": "bf16", "float16": "f16", "fp16": "f16", "half": "f16",
    "fp32": "f32", "float32": "f32", "float": "f32", "results fp32": "f32",
    "results - fp32": "f32", "fp8": "f8e4m3", "int8": "i8", "tf32": "tf32",
    "results - fp16 ip, mixed math": "f16", "fp8_e4m3": "f8e4m3", "nvfp4": "f4e2m1",
}  # fmt: skip
_OPS = ("gemm", "matmul", "mm", "linear", "bmm", "addmm", "grouped gemm")
#: Products along the depth that share a scale (deepseek-ai/DeepGEMM: 1 × 128 and 128 × 128).
SCALED_DEPTH = 128
#: How tables name the number of products of one kernel.
_BATCHES = ("B", "BS", "#Groups")

#: Fixed time of quantising where it differs from the protocol's, by family; `fit` rows, N ≤ 256.
QUANTISE_S = {"blackwell": 12e-6}
#: One kernel casts to 4 bits: fixed time and bytes an element, `fit` rows of GB200. It reads two
#: bytes and writes little more than half a one; what it computes for a block counts like bytes.
PACK_S, PACK_BYTES = 4e-6, 5.5


def covers(row: Row) -> bool:
    """True for rows of matrix products."""
    return row.op.split("[")[0].strip() in _OPS or row.op.startswith(("linear:", "gemm"))


def format_of(row: Row) -> str:
    """The stored format of a row's operands."""
    text = row.dtype.strip().lower()
    if text in FORMATS:
        return FORMATS[text]
    for name in ("fp8", "bf16", "fp16", "fp32"):
        if text.startswith(name):
            return FORMATS[name]
    raise NotPredicted(f"the format {row.dtype!r} is not modelled")


def seconds(row: Row, card: Card) -> float:
    """Launch and the tuned kernel, as the row's table measures it."""
    dtype = format_of(row)
    batch, m, n, k = _sizes(row)
    took_s = product_s(batch, m, n, k, dtype, card, protocol_of(row))
    if "fine-grained scaling" in row.dtype:
        took_s += promoting_s(batch * m * n * k, card)
    return took_s


def _sizes(row: Row) -> tuple[int, int, int, int]:
    m, n, k = row.size("M", "M per group"), row.size("N"), row.size("K")
    batch = row.size(*_BATCHES) if row.shape.keys() & set(_BATCHES) else 1
    if "NeuSight" in row.source:  # there N is the reduction
        m, n, k = m, k, n
    if "DeepBench" in row.source:  # BLAS: results lie column after column
        m, n = n, m
    return batch, m, n, k


def product_s(
    batch: int, m: int, n: int, k: int, dtype: str, card: Card, protocol: Protocol
) -> float:
    """Seconds of a product under a protocol."""
    narrow = itemsize_bytes(dtype) < 2 and not protocol.keeps_format
    out = "bf16" if narrow else dtype
    item = moved_bytes(dtype)
    a, b, c = batch * m * k * item, batch * k * n * item, batch * m * n * itemsize_bytes(out)
    shape = Shape(batch, m, n, k, dtype, out)
    plan = tune(shape, card, 1.0, protocol.warm(card, a, b, c))
    throttled = protocol.throttled(plan.seconds, card, b)
    rest_s, rest_j = protocol.rest(card, c)
    time = held_s(plan.timing, card, dtype, throttled, rest_s, rest_j)
    time += 0.0 if protocol.is_kernel_alone else card.launch_s
    if item <= 1 and protocol.quantise_s:
        time += casting_s(m * k, dtype, card, protocol)
    return max(time, protocol.host_s) + protocol.added_s


def promoting_s(macs: float, card: Card) -> float:
    """DeepGEMM on Hopper: lanes scale and add the sums of every block of `SCALED_DEPTH` products.

    The matrix engine waits, since its sums lie in the registers that the lanes work on.
    """
    lanes_per_s = vector_lanes(card, "f32") * card.cores * card.clock_hz
    return macs / SCALED_DEPTH / lanes_per_s


def casting_s(elements: int, dtype: str, card: Card, protocol: Protocol) -> float:
    """Casting an activation of 16 bits in the operator: fixed time and bytes an element.

    For 8 bits the largest magnitude is found first: 5 bytes in two passes.
    """
    fixed_s, each = QUANTISE_S.get(card.chip.family, protocol.quantise_s), 5.0
    if bits_of(dtype) < 8:
        fixed_s, each = PACK_S, PACK_BYTES
    return fixed_s + each * elements / (card.l2_bytes_per_s * card.pace.l2_efficiency * 0.34)
