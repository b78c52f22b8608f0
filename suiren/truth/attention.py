"""Rows of attention: a serving engine's operator over whole prompts.

The operator is two kernels: one turns queries and keys to their positions, casts and fills the
cache; then fused attention. Between them and around lies what the engine itself adds
(`protocol.py`).
"""

from __future__ import annotations

from suiren.core.tile import Tensor
from suiren.core.timing import Timing, time_program
from suiren.core.traffic import survives
from suiren.dtype import itemsize_bytes
from suiren.hw.spec import Card
from suiren.kernels.attention_prepare import attention_keep, attention_prepare
from suiren.mapper.attend import Attention, attend
from suiren.mapper.power import held_s
from suiren.truth.protocol import Protocol, protocol_of
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted

_FP8 = "f8e4m3"
#: Families whose attention kernel reads an 8-bit cache and multiplies in that format.
_READS_CACHE = frozenset({"hopper", "blackwell"})
#: Families whose attention kernel takes its tiles from a counter, which must be set up before.
_COUNTS = frozenset({"hopper", "blackwell"})
#: Tokens and heads that a core of the first kernel takes at most, and tiles for every core.
_TOKENS, _HEADS, _TILES = 16, 2, 4


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return row.op.startswith("attention_prefill")


def seconds(row: Row, card: Card) -> float:
    """Launches and both kernels, as the row's table measures them."""
    given, _, cache = row.dtype.partition("/kv ")
    formats = {"bfloat16": "bf16", "fp8": _FP8}
    if given not in formats or cache not in formats:
        raise NotPredicted(f"the format {row.dtype!r} is not modelled")
    products, cached = formats[given], formats[cache]
    if cached == _FP8 and "fp8" not in card.formats():
        raise NotPredicted("the chip has no 8-bit format: how its library converts is not known")
    if cached == _FP8 and card.chip.family in _READS_CACHE:
        products = _FP8
    depth = row.size("D")
    shape = Attention(row.size("B"), row.size("H"), row.size("Hkv"), row.size("S"), row.size("S"),
                      depth, depth, products, "bf16")  # fmt: skip
    return operator_s(shape, cached, card, protocol_of(row))


def operator_s(shape: Attention, cached: str, card: Card, protocol: Protocol) -> float:
    """Seconds of the operator; `cached` is the format of the cache."""
    rows = shape.batch * shape.queries
    item = itemsize_bytes(shape.dtype)
    fresh = rows * shape.depth * 2 * (shape.heads + 2 * shape.kv_heads)
    ready = rows * shape.depth * item * (shape.heads + 2 * shape.kv_heads)
    result = rows * shape.width * itemsize_bytes(shape.out) * shape.heads
    near = survives(fresh + ready + result, card)
    if protocol.turns:
        first = prepare(shape, cached, near, card)
    else:
        first = keep(shape, cached, near, card)
    left = survives(fresh + ready, card)
    plan = attend(shape, card, 1.0, {"q": left, "k": left, "v": left})
    throttled = protocol.throttled(first.seconds + plan.seconds, card)
    time = first.seconds + held_s(plan.timing, card, shape.dtype, throttled)
    time += 2 * card.launch_s + protocol.attention_s
    if card.chip.family in _COUNTS:
        time += protocol.counted_s
    return max(time, protocol.attention_host_s)


def prepare(shape: Attention, cached: str, near: float, card: Card) -> Timing:
    """The kernel before attention; `near` is the share of its input in the shared level."""
    rows, heads, depth = shape.batch * shape.queries, shape.heads, shape.depth
    # work enough for every core first, then as much of it together as angles are worth
    each = max(1, rows * heads // (_TILES * int(card.cores)))
    tokens = min(_TOKENS, each)
    together = min(_HEADS, each // tokens)
    line, angles = (rows, shape.kv_heads, depth), (rows, depth // 2)
    tensors = (
        Tensor("q", (rows, heads, depth), "bf16"), Tensor("k", line, "bf16"),
        Tensor("v", line, "bf16"), Tensor("cos", angles, "f32"), Tensor("sin", angles, "f32"),
        Tensor("turned", (rows, heads, depth), shape.dtype), Tensor("kept", line, cached),
        Tensor("values", line, cached),
    )  # fmt: skip
    warm = {"q": near, "k": near, "v": near, "cos": 1.0, "sin": 1.0}
    program = attention_prepare.trace(tensors, tm=tokens, heads=together)
    return time_program(program, card, 1.0, warm)


def keep(shape: Attention, cached: str, near: float, card: Card) -> Timing:
    """The kernel before attention where positions are turned elsewhere."""
    rows = shape.batch * shape.queries
    line = (rows, shape.kv_heads, shape.depth)
    tokens = max(1, min(_TOKENS, rows * shape.kv_heads // (_TILES * int(card.cores))))
    tensors = (Tensor("k", line, "bf16"), Tensor("v", line, "bf16"), Tensor("kept", line, cached),
               Tensor("values", line, cached))  # fmt: skip
    program = attention_keep.trace(tensors, tm=tokens)
    return time_program(program, card, 1.0, {"k": near, "v": near})
