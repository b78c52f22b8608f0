"""Products whose rows start at odd places: they are read and written a few bytes at a time.

An access moves no more bytes than its address is a multiple of. Libraries have one width for a
kernel: where the rows of one operand, or of the result alone, start at no multiple of 16 bytes,
all of them are reached with the narrower accesses (cuBLAS's kernels say so in their names: `align1`
loads one element at a time, whichever of the three is odd). A narrow access takes the first-level
cache as long as one of 16 bytes a thread does, and what it brings goes through registers, so that
the products wait for it.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.core.timing import Timing
from suiren.dtype import itemsize_bytes
from suiren.hw.fact import Fact, fitted, published
from suiren.hw.spec import Card
from suiren.mapper.work import WIDE_BYTES, Product

#: Bytes that the first-level cache of a core passes in a cycle.
_L1_BYTES: Fact = published(128, "NVIDIA's tuning guides for Volta, Ampere and Hopper: 128 bytes a "
                                 "clock and SM")  # fmt: skip
_L1_BYTES_OF: dict[str, Fact] = {
    "turing": published(64, "Jia et al. 2019, Dissecting the NVIDIA Turing T4: 64 bytes a clock"),
    "cdna": published(64, "AMD's CDNA 2 white paper: 64 bytes a clock and CU"),
}
#: Share of it that narrow accesses reach.
NARROW_SHARE: Fact = fitted(
    0.61,
    "nanoGPT 124M, 12 x 1,024 tokens on an A100: 112.4 ms with a vocabulary of 50,257 (issue 110 "
    "of its repository), about a quarter more steps a second with 50,304 (its author, 3 February "
    "2023): 22.5 ms for 33.3 GB of tiles read two bytes at a time",
)


def narrowly(timing: Timing, product: Product, card: Card) -> Timing:
    """The timing of a product with what narrow accesses add to it; seconds.

    Every byte between the shared level and a core takes the place of `16 / grain_bytes` in the
    first-level cache. Copy engines of other chips than GPUs take rows that start anywhere.
    """
    if product.grain_bytes >= WIDE_BYTES or not card.chip.is_gpu:
        return timing
    if itemsize_bytes(product.dtype) > 2 or not card.engine_flop_per_s("matrix", "fp16"):
        return timing
    if min(product.m, product.n) == 1:
        return timing
    width = _L1_BYTES_OF.get(card.chip.family, _L1_BYTES)
    bytes_per_s = card.cores * card.clock_hz * width * NARROW_SHARE
    added_s = timing.l2_bytes * (WIDE_BYTES / product.grain_bytes) / bytes_per_s
    parts = {**timing.parts_s, "l2": timing.parts_s.get("l2", 0.0) + added_s}
    return replace(timing, seconds=timing.seconds + added_s, parts_s=parts)
