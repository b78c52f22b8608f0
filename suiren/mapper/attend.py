"""The fastest kernel for fused attention, forward or backward: a library's tiles by simulated time.

Heads of all sequences are dealt alike: batch and heads are one axis, as the kernels sweep them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from suiren.core.program import Program
from suiren.core.tile import Tensor
from suiren.core.timing import Timing, time_program
from suiren.dtype import itemsize_bytes
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.kernels.attention import attention
from suiren.kernels.attention_backward import attention_backward


@dataclass(frozen=True, slots=True)
class Attention:
    """`batch` sequences of `queries` that see `keys`; `width` is the values', `depth` the keys'."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    keys: int
    depth: int
    width: int
    dtype: str
    out: str
    causal: bool = True


@dataclass(frozen=True, slots=True)
class Blocks:
    """Tiles of one attention kernel: queries and keys of a block, and how they overlap."""

    tm: int
    tn: int
    groups: int = 1
    ahead: bool = False
    resident: int = 1
    stages: int = 2
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class AttentionPlan:
    """The kernel that was chosen, and its time without launch."""

    kernel: str
    blocks: Blocks
    timing: Timing
    tried: int

    @property
    def seconds(self) -> float:
        """Time without launch."""
        return self.timing.seconds


#: Forward tiles by family of chips. Ampere's and Ada's kernels are FlashAttention-2: one chain of
#: products and softmax for a block. Hopper's and Blackwell's have two groups of queries that share
#: keys and take turns on the engines (TensorRT-LLM's warp-specialised kernels).
_CHAIN = (Blocks(128, 64, resident=1), Blocks(128, 32, resident=2), Blocks(64, 64, resident=2),
          Blocks(64, 32, resident=4), Blocks(64, 32))  # fmt: skip
#: What is left of it where the sums of a wide head take the registers, and where the library has
#: no kernel made for the head size (TensorRT-LLM on Ada: 8 bits other than 128 and 192).
_NARROW, _NARROWEST = (Blocks(64, 32),), (Blocks(64, 16),)
_TURNS = (Blocks(128, 128, 2), Blocks(128, 64, 2))
_WIDE = (Blocks(256, 128, 2), Blocks(128, 128))
_MENUS = {"ampere": _CHAIN, "ada": _CHAIN, "hopper": _TURNS, "blackwell": _WIDE,
          "xe": (Blocks(128, 64), Blocks(64, 64))}  # fmt: skip
_ANY = (*_CHAIN, *_TURNS, *_WIDE)
#: Backward tiles: keys a core keeps, queries it walks over.
_BACKWARD = ((128, 128), (128, 64), (64, 64))
#: What a core with many MiB of scratchpad takes besides (JAX's splash attention: blocks of 512
#: to 2048 queries and keys), forward and backward.
_LARGE = (Blocks(512, 512, 2), Blocks(1024, 512, 2), Blocks(1024, 1024, 2), Blocks(2048, 1024))
_LARGE_BACKWARD = ((512, 512), (1024, 512), (1024, 1024))
_LARGE_BYTES = 8 * 2**20
#: Most of an NVIDIA core's scratchpad that one kernel can have, bytes (CUDA C++ Programming Guide,
#: technical specifications of compute capability 9.0 and 10.0).
MOST_SHARED = 227 * 1024
#: Share of the shared level that keys and values of the heads under way may take.
NEAR_SHARE = 0.25


def attend(
    shape: Attention, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None,
    backward: bool = False, like: Card | None = None,
) -> AttentionPlan:  # fmt: skip
    """The fastest kernel for an attention on a card; `warm` as for `time_program`.

    With `like`, the tiles that are the fastest on that card.
    """
    found = tuple(sorted((warm or {}).items()))
    if like is None:
        return _attend(shape, Held(card), clock, found, backward)
    return _alike(shape, Held(card), clock, found, backward, Held(like))


@lru_cache(maxsize=4096)
def _alike(
    shape: Attention, held: Held, clock: float, warm: tuple[tuple[str, float], ...],
    backward: bool, like: Held,
) -> AttentionPlan:  # fmt: skip
    chosen = _attend(shape, like, clock, warm, backward)
    simulate = backward_s if backward else forward_s
    timing = simulate(_padded(shape, held.card.chip.family), held.card, chosen.blocks, clock,
                      dict(warm))  # fmt: skip
    return replace(chosen, timing=timing)


@lru_cache(maxsize=4096)
def _attend(
    shape: Attention, held: Held, clock: float, warm: tuple[tuple[str, float], ...],
    backward: bool,
) -> AttentionPlan:  # fmt: skip
    card = held.card
    best: AttentionPlan | None = None
    tried = 0
    held_shape = _padded(shape, card.chip.family)
    for blocks in _fitting(shape, card, backward):
        simulate = backward_s if backward else forward_s
        timing = simulate(held_shape, card, blocks, clock, dict(warm))
        tried += 1
        if best is None or timing.seconds < best.seconds:
            name = "attention_backward" if backward else "attention"
            best = AttentionPlan(name, blocks, timing, tried)
    assert best is not None
    return AttentionPlan(best.kernel, best.blocks, best.timing, tried)


def _fitting(shape: Attention, card: Card, backward: bool) -> list[Blocks]:
    """The family's tiles that fit a core; the smallest if none does."""
    rows = _menu(shape, card.chip.family)
    scratchpad = float(card.chip.scratchpad_bytes)
    large = scratchpad >= _LARGE_BYTES
    if backward:
        pairs = (*_BACKWARD, *_LARGE_BACKWARD) if large else _BACKWARD
        rows = tuple(Blocks(tk, tq) for tk, tq in pairs)
    elif large:
        rows = (*rows, *_LARGE)
    if card.chip.family in _MENUS:  # a block of threads cannot have all of it
        scratchpad = min(scratchpad, MOST_SHARED)
    fit = [b for b in rows if _room(shape, b, backward) * b.resident <= scratchpad]
    useful = [b for b in fit if b.tm <= max(64, shape.queries)] or fit
    return useful or [min(rows, key=lambda b: b.tm * b.tn)]


def _menu(shape: Attention, family: str) -> tuple[Blocks, ...]:
    """What the library of a family offers for a head size and format."""
    if family in ("ampere", "ada"):
        narrow = itemsize_bytes(shape.dtype) < 2
        if narrow and shape.depth not in (128, 192):
            return _NARROWEST if shape.depth > 128 else _NARROW
        if shape.depth > 128 and not narrow:
            return _NARROW
    return _MENUS.get(family, _ANY)


def _padded(shape: Attention, family: str) -> Attention:
    """Heads as the kernels hold them.

    TensorRT-LLM's of Ada, and of Hopper in 8 bits, pad 192 to 256: they take the time of 256.
    """
    pads = family in ("ampere", "ada") or (family == "hopper" and itemsize_bytes(shape.dtype) < 2)
    if not pads or shape.depth != 192 or shape.width != 192:
        return shape
    return replace(shape, depth=256, width=256)


def _room(shape: Attention, blocks: Blocks, backward: bool) -> float:
    """Bytes of scratchpad of one tile; the result takes the place of the queries."""
    item, both = itemsize_bytes(shape.dtype), shape.depth + shape.width
    ring = blocks.stages * blocks.tn * both * item
    if backward:
        return blocks.tm * both * item + ring + 2 * blocks.tm * blocks.tn * item
    return blocks.tm * shape.depth * item + ring


def forward_s(
    shape: Attention, card: Card, blocks: Blocks, clock: float, warm: Mapping[str, float]
) -> Timing:
    """The simulated time of one forward kernel, launch not included."""
    near_bytes = NEAR_SHARE * card.l2_bytes * card.pace.l2_share
    return time_program(_forward(shape, blocks, near_bytes), card, clock, warm)


@lru_cache(maxsize=256)
def _forward(shape: Attention, blocks: Blocks, near_bytes: float) -> Program:
    """Remembered: cards that differ in a fact or two take the same program."""
    rows, keys = (1, shape.batch * shape.heads), (1, shape.batch * shape.kv_heads)
    tensors = (
        Tensor("q", (*rows, shape.queries, shape.depth), shape.dtype),
        Tensor("k", (*keys, shape.keys, shape.depth), shape.dtype),
        Tensor("v", (*keys, shape.keys, shape.width), shape.dtype),
        Tensor("out", (*rows, shape.queries, shape.width), shape.out),
        Tensor("lse", (*rows, shape.queries), "f32"),
    )
    return attention.trace(
        tensors, causal=shape.causal, tm=blocks.tm, tn=blocks.tn, stages=blocks.stages,
        groups=blocks.groups, ahead=blocks.ahead, resident=blocks.resident, fresh=blocks.fresh,
        shared_bytes=near_bytes,
    )  # fmt: skip


def backward_s(
    shape: Attention, card: Card, blocks: Blocks, clock: float, warm: Mapping[str, float]
) -> Timing:
    """The simulated time of one backward kernel, launch not included."""
    return time_program(_backward(shape, blocks), card, clock, warm)


@lru_cache(maxsize=256)
def _backward(shape: Attention, blocks: Blocks) -> Program:
    rows, keys = (1, shape.batch * shape.heads), (1, shape.batch * shape.kv_heads)
    q = Tensor("q", (*rows, shape.queries, shape.depth), shape.dtype)
    k = Tensor("k", (*keys, shape.keys, shape.depth), shape.dtype)
    v = Tensor("v", (*keys, shape.keys, shape.width), shape.dtype)
    out = Tensor("out", (*rows, shape.queries, shape.width), shape.dtype)
    line = (*rows, shape.queries)
    tensors = (
        q, k, v, out, Tensor("grad", out.shape, shape.dtype), Tensor("lse", line, "f32"),
        Tensor("dq", q.shape, shape.dtype), Tensor("dk", k.shape, shape.dtype),
        Tensor("dv", v.shape, shape.dtype), Tensor("delta", line, "f32"),
        Tensor("sums", q.shape, "f32"),
    )  # fmt: skip
    return attention_backward.trace(
        tensors, causal=shape.causal, tk=blocks.tm, tq=blocks.tn, stages=blocks.stages,
        resident=blocks.resident, fresh=blocks.fresh,
    )  # fmt: skip
