"""Matrix products in tiles: the output is cut into tiles, tiles go over the cores in waves.

A tile [tm, tn] keeps its sums in a core's registers and streams its operands through the
scratchpad in slices of k. The candidate that takes the least time is the one a tuned
library would run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, inf, sqrt

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

    def seconds_on(self, card: Card, extra_bytes: float) -> tuple[float, float, float]:
        """The slowest of the engine, device memory and the shared level; ties by the rest."""
        l2_s = self.l2_bytes / card.l2_bytes_per_s if card.l2_bytes_per_s else 0.0
        memory_s = (self.memory_bytes + extra_bytes) / _bandwidth(card)
        return max(self.matrix_s, memory_s, l2_s), self.matrix_s, self.l2_bytes


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
def _time(product: Product, card_key: _CardKey, resident: bool, extra_bytes: float) -> Tiled:
    card = card_key.card
    name = peak_format(product, card)
    # A library computes the transposed product where that pads less.
    turned = replace(
        product, m=product.n, n=product.m, a_bytes=product.b_bytes, b_bytes=product.a_bytes
    )
    candidates = [
        _candidate(way, card, name, tm, tn, split, resident)
        for way in (product, turned)
        for tm, tn in _tiles(way, card)
        for split in SPLITS_OF_K
        if split == 1 or product.k >= 64 * split
    ]
    return min(candidates, key=lambda tiled: tiled.seconds_on(card, extra_bytes))


def time_product(
    product: Product, card: Card, resident: bool = False, extra_bytes: float = 0.0
) -> Tiled:
    """Tries every tile the core can hold and keeps the fastest.

    `resident`: the operands lie in the shared level already, device memory is not touched.
    `extra_bytes`: what else the kernel moves, a bias for instance.
    """
    return _time(product, _CardKey(card), resident, 0.0 if resident else extra_bytes)


def _bandwidth(card: Card) -> float:
    """Sustained bytes per second of device memory; without limit where a chip has none."""
    return float(card.memory_bytes_per_s * card.memory_efficiency) or inf


def _tiles(product: Product, card: Card) -> list[tuple[int, int]]:
    """Tiles whose sums fit the registers and whose operand slices fit the scratchpad twice."""
    m_grain, n_grain, k_grain = card.chip.tile_mnk
    size = itemsize_bytes(product.dtype)
    fitting = [
        (tm, tn)
        for tm in _sides(m_grain)
        for tn in _sides(n_grain)
        if tm * tn * ACCUMULATOR_BYTES <= card.chip.register_bytes
        and 2 * (tm + tn) * k_grain * size <= card.chip.scratchpad_bytes
    ]
    return fitting or [(m_grain, n_grain)]


def _sides(grain: int) -> list[int]:
    """Sides of a tile that are whole multiples of the engine's grain."""
    return [s for s in TILE_SIDES if s >= grain and s % grain == 0] or [grain]


def _round_up(n: int, grain: int) -> int:
    return ceil(n / grain) * grain


def _candidate(
    product: Product, card: Card, name: str, tm: int, tn: int, split: int, resident: bool
) -> Tiled:
    engine = "matrix" if name in card.chip.matrix else "vector"
    core_flop_per_s = card.engine_flop_per_s(engine, name) / card.cores
    m_grain, n_grain, k_grain = card.chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    rows, cols = ceil(product.m / tm), ceil(product.n / tn)
    tiles = product.batch * rows * cols * split
    waves = ceil(tiles / card.cores)
    k = _round_up(ceil(product.k / split), k_grain)
    # An edge smaller than the tile is padded to the engine's grain only.
    used_m, used_n = min(tm, _round_up(product.m, m_grain)), min(tn, _round_up(product.n, n_grain))
    tile_flop = 2.0 * used_m * used_n * k * product.share
    matrix_s = waves * tile_flop / (core_flop_per_s * card.matrix_efficiency)
    size = itemsize_bytes(product.dtype)
    partial_bytes = 2 * (split - 1) * product.batch * product.m * product.n * ACCUMULATOR_BYTES
    l2_bytes = (
        tiles * (used_m + used_n) * k * size * product.share + product.c_bytes + partial_bytes
    )
    memory_bytes = 0.0 if resident else _memory_bytes(product, card, tm, tn, rows, cols)
    emulated = ""
    wanted = "tf32" if product.tf32 else PEAK_NAME.get(product.dtype, "fp32")
    if name != wanted and card.peak_flop_per_s(wanted) == 0:
        emulated = f"{wanted} is not native; runs in {name}"
    return Tiled(
        matrix_s, l2_bytes, memory_bytes, tiles * tile_flop, (tm, tn), split, waves, emulated
    )


def _memory_bytes(product: Product, card: Card, tm: int, tn: int, rows: int, cols: int) -> float:
    """Each operand once, if a wave's panels fit the shared level; otherwise once a wave.

    A wave is a block of tiles as square as the core count allows; it reads its rows of A and
    columns of B together.
    """
    once = product.a_bytes + product.b_bytes + product.c_bytes
    if product.a_bytes + product.b_bytes <= WAVE_SHARE * card.l2_bytes:
        return float(once)
    side = max(1.0, sqrt(float(card.cores)))
    block_rows, block_cols = (
        min(rows, side * max(1.0, tn / tm)),
        min(cols, side * max(1.0, tm / tn)),
    )
    times_a = max(1.0, cols / max(block_cols, card.cores / max(1, rows)))
    times_b = max(1.0, rows / max(block_rows, card.cores / max(1, cols)))
    # The smaller operand stays if it fits; then the other is read once.
    if min(product.a_bytes, product.b_bytes) <= WAVE_SHARE * card.l2_bytes:
        return float(once)
    swept_a = product.a_bytes * times_a + product.b_bytes
    swept_b = product.b_bytes * times_b + product.a_bytes
    return float(min(swept_a, swept_b) + product.c_bytes)
