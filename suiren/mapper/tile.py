"""Matrix products in tiles: the output is cut into tiles, tiles go over the cores in waves.

A tile [tm, tn] keeps its sums in a core's registers and streams its operands through the
scratchpad in slices of k. The candidate that takes the least time is the one a tuned
library would run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt

from suiren.dtype import PEAK_NAME, itemsize_bytes
from suiren.hw.spec import Card
from suiren.mapper.work import Product

TILE_SIDES = (16, 32, 64, 128, 256)
SPLITS_OF_K = (1, 2, 4, 8, 16)
ACCUMULATOR_BYTES = 4
#: Share of the shared level that the operands of one wave may fill before rows are re-read.
WAVE_SHARE = 0.5
#: When a chip lacks a format, it converts to this one.
FALLBACK = {"bf16": "fp32", "fp16": "fp32", "tf32": "fp32", "fp64": "fp32", "fp8": "bf16",
            "int8": "fp32", "fp32": "tf32"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tiled:
    """A product on a card with its best tiles."""

    matrix_s: float
    l2_bytes: float
    memory_bytes: float
    padded_flop: float
    tile: tuple[int, int]
    split_k: int
    waves: int
    emulated: str = ""


def peak_format(product: Product, card: Card) -> str:
    """The format the card multiplies in; another one where it lacks the product's own."""
    name = "tf32" if product.tf32 else PEAK_NAME.get(product.dtype, "fp32")
    seen = set()
    while card.peak_flop_per_s(name) == 0 and name not in seen:
        seen.add(name)
        name = FALLBACK.get(name, "fp32")
    if card.peak_flop_per_s(name) == 0:
        name = card.formats()[0]
    return name


class _CardKey:
    """Makes a card hashable by identity, so that products are remembered per card."""

    __slots__ = ("card",)

    def __init__(self, card: Card) -> None:
        self.card = card

    def __hash__(self) -> int:
        return id(self.card)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CardKey) and other.card is self.card


@lru_cache(maxsize=65536)
def _time(product: Product, card_key: _CardKey) -> Tiled:
    card = card_key.card
    name = peak_format(product, card)
    best: Tiled | None = None
    best_s = 0.0
    for tm, tn in _tiles(product, card):
        for split in SPLITS_OF_K:
            if split > 1 and product.k < 64 * split:
                break
            tiled = _candidate(product, card, name, tm, tn, split)
            seconds = max(
                tiled.matrix_s,
                tiled.memory_bytes / _bandwidth(card),
                tiled.l2_bytes / card.l2_bytes_per_s if card.l2_bytes_per_s else 0.0,
            )
            if best is None or seconds < best_s:
                best, best_s = tiled, seconds
    assert best is not None
    return best


def time_product(product: Product, card: Card) -> Tiled:
    """Tries every tile the core can hold and keeps the fastest."""
    return _time(product, _CardKey(card))


def _bandwidth(card: Card) -> float:
    return float((card.memory_bytes_per_s or card.l2_bytes_per_s) * card.memory_efficiency)


def _tiles(product: Product, card: Card) -> list[tuple[int, int]]:
    """Tiles whose sums fit the registers and whose operand slices fit the scratchpad twice."""
    m_grain, n_grain, k_grain = card.chip.tile_mnk
    size = itemsize_bytes(product.dtype)
    sides = [s for s in TILE_SIDES if s >= min(m_grain, n_grain)] or [max(m_grain, n_grain)]
    fitting = [
        (tm, tn)
        for tm in sides
        for tn in sides
        if tm * tn * ACCUMULATOR_BYTES <= card.chip.register_bytes
        and 2 * (tm + tn) * k_grain * size <= card.chip.scratchpad_bytes
    ]
    return fitting or [(m_grain, n_grain)]


def _candidate(product: Product, card: Card, name: str, tm: int, tn: int, split: int) -> Tiled:
    engine = "matrix" if name in card.chip.matrix else "vector"
    core_flop_per_s = card.engine_flop_per_s(engine, name) / card.cores
    m_grain, n_grain, k_grain = card.chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    rows, cols = ceil(product.m / tm), ceil(product.n / tn)
    tiles = product.batch * rows * cols * split
    waves = ceil(tiles / card.cores)
    k = ceil(ceil(product.k / split) / k_grain) * k_grain
    # An edge smaller than the tile is padded to the engine's grain only.
    used_m = min(tm, ceil(product.m / m_grain) * m_grain)
    used_n = min(tn, ceil(product.n / n_grain) * n_grain)
    tile_flop = 2.0 * used_m * used_n * k
    matrix_s = waves * tile_flop / (core_flop_per_s * card.matrix_efficiency)
    size = itemsize_bytes(product.dtype)
    partial_bytes = 2 * (split - 1) * product.batch * product.m * product.n * ACCUMULATOR_BYTES
    l2_bytes = tiles * (used_m + used_n) * k * size + product.c_bytes + partial_bytes
    memory_bytes = _memory_bytes(product, card, tm, tn, rows, cols)
    emulated = ""
    wanted = "tf32" if product.tf32 else PEAK_NAME.get(product.dtype, "fp32")
    if name != wanted and card.peak_flop_per_s(wanted) == 0:
        emulated = f"{wanted} is not native; runs in {name}"
    return Tiled(matrix_s, l2_bytes, memory_bytes, tiles * tile_flop, (tm, tn), split, waves, emulated)


def _memory_bytes(product: Product, card: Card, tm: int, tn: int, rows: int, cols: int) -> float:
    """Each operand once, if a wave's panels fit the shared level; otherwise once a wave.

    A wave is a block of tiles as square as the core count allows; it reads its rows of A and
    columns of B together.
    """
    once = product.a_bytes + product.b_bytes + product.c_bytes
    if product.a_bytes + product.b_bytes <= WAVE_SHARE * card.l2_bytes:
        return float(once)
    side = max(1.0, sqrt(float(card.cores)))
    block_rows, block_cols = min(rows, side * max(1.0, tn / tm)), min(cols, side * max(1.0, tm / tn))
    times_a = max(1.0, cols / max(block_cols, card.cores / max(1, rows)))
    times_b = max(1.0, rows / max(block_rows, card.cores / max(1, cols)))
    # The smaller operand stays if it fits; then the other is read once.
    if min(product.a_bytes, product.b_bytes) <= WAVE_SHARE * card.l2_bytes:
        return float(once)
    swept_a = product.a_bytes * times_a + product.b_bytes
    swept_b = product.b_bytes * times_b + product.a_bytes
    return float(min(swept_a, swept_b) + product.c_bytes)
