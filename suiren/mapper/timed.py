"""A kernel of some work as programs of the operator library, simulated on a card.

Products, convolutions and fused attention are tuned over the library's menu; everything else
streams. What a product's kernel computes and moves besides its operands is its epilogue: lane
work beside the products, bytes beside the operands.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.core.timing import Timing
from suiren.hw.spec import Card
from suiren.mapper.attend import attend
from suiren.mapper.candidate import Shape
from suiren.mapper.convolve import convolve
from suiren.mapper.depthwise import lanes_of
from suiren.mapper.narrow import narrowly
from suiren.mapper.plans import Plans
from suiren.mapper.stream import stream
from suiren.mapper.work import Kernel, Product

#: A kernel whose whole footprint is below this share of the shared level finds its operands
#: there, because the kernel before it just wrote them.
RESIDENT_SHARE = 0.25
#: What a product may be stored in; everything else leaves in the format it was multiplied in.
_RESULTS = frozenset({"f32", "bf16", "f16", "f64"})


def timings(kernel: Kernel, card: Card, plans: Plans) -> tuple[Timing, ...]:
    """One timing a launch; those of a transfer over the host link are empty."""
    near = 1.0 if is_resident(kernel, card) else 0.0
    product = kernel.product
    like = None if plans.like is None else plans.like.card
    if kernel.attention is not None:
        warm = {"q": near, "k": near, "v": near} if near else None
        return (attend(kernel.attention, card, 1.0, warm, kernel.backward, like).timing,)
    if kernel.convolution is not None:
        way = convolve(*kernel.convolution, card, like)
        return (*way.kernels[:-1], _with_epilogue(way.kernels[-1], kernel, card, like))
    if kernel.depthwise is not None:
        lanes = lanes_of(*kernel.depthwise, card) + kernel.lane_ops
        return (stream(kernel.read_bytes, kernel.write_bytes, lanes, kernel.special_ops,
                       kernel.dtype, card, near, like),)  # fmt: skip
    if product is not None and min(product.batch, product.m, product.n, product.k) > 0:
        warm = {"a": near, "b": near} if near else None
        timing = narrowly(plans.plan(shape_of(product), warm).timing, product, card)
        return (_with_epilogue(timing, kernel, card, like),)
    if not kernel.bytes and not kernel.lane_ops and not kernel.special_ops:
        return (Timing(),) * kernel.launches
    launches = max(1, kernel.launches)
    one = stream(
        kernel.read_bytes / launches, kernel.write_bytes / launches, kernel.lane_ops / launches,
        kernel.special_ops / launches, kernel.dtype, card, near, like,
    )  # fmt: skip
    return (one,) * launches


def _with_epilogue(timing: Timing, kernel: Kernel, card: Card, like: Card | None) -> Timing:
    """The product with what its kernel adds: a bias to read, lanes and specials to compute."""
    extra = max(0.0, kernel.bytes - operand_bytes(kernel))
    if not extra and not kernel.lane_ops and not kernel.special_ops:
        return timing
    near = 1.0 if is_resident(kernel, card) else 0.0
    added = stream(extra, 0.0, kernel.lane_ops, kernel.special_ops, kernel.dtype, card, near,
                   like)  # fmt: skip
    # the epilogue's own start and latency are the product's
    start = stream(0.0, 0.0, 1.0, 0.0, kernel.dtype, card, 0.0, like).seconds
    parts = {p: timing.parts_s.get(p, 0.0) + added.parts_s.get(p, 0.0)
             for p in {**timing.parts_s, **added.parts_s}}  # fmt: skip
    longest = max((s for s in added.parts_s.values()), default=0.0)
    return replace(
        timing, parts_s=parts, seconds=timing.seconds + max(longest, added.seconds - start),
        memory_bytes=timing.memory_bytes + added.memory_bytes,
        l2_bytes=timing.l2_bytes + added.l2_bytes, lanes=timing.lanes + added.lanes,
        special=timing.special + added.special,
    )  # fmt: skip


def shape_of(product: Product) -> Shape:
    """The product as the tuner takes it; a complex one is four real ones."""
    dtype, batch = "tf32" if product.tf32 else product.dtype, product.batch
    if dtype in ("c64", "c128"):
        dtype, batch = ("f32" if dtype == "c64" else "f64"), 4 * batch
    out = product.dtype if product.dtype in _RESULTS else dtype
    out = product.out if product.out in _RESULTS else out
    return Shape(batch, product.m, product.n, product.k, dtype, out)


def is_resident(kernel: Kernel, card: Card) -> bool:
    """True where all that a kernel touches lies in the shared level."""
    return 0 < kernel.bytes <= RESIDENT_SHARE * card.l2_bytes and card.l2_bytes_per_s > 0


def operand_bytes(kernel: Kernel) -> float:
    """Bytes of a product's operands and result."""
    product = kernel.product
    return 0.0 if product is None else product.a_bytes + product.b_bytes + product.c_bytes
