"""The tiles a family's matrix library offers: what the tuner may choose from.

A tile is (rows, columns) of the result, how many programs share a core, depth of a step in
bytes, and how many steps are under way (0: as many as fit the scratchpad, at most 8). NVIDIA's
are those that cuBLAS and CUTLASS kernels carry in their names (`sm80_xmma_gemm_bf16…_tilesize
128x128x64_stage4`, CUTLASS profiler lists for sm80, sm90, sm100). A chip whose library is not
known takes every tile that fits, as a kernel author would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from suiren.hw.spec import Card

Row = tuple[int, int, int, int, int]

_SM80: tuple[Row, ...] = (
    (256, 128, 1, 128, 3), (256, 64, 1, 128, 4), (128, 128, 2, 64, 5), (128, 128, 1, 128, 4),
    (128, 64, 2, 128, 3), (128, 64, 1, 128, 6), (64, 64, 2, 128, 5), (64, 64, 1, 128, 6),
    (32, 32, 4, 256, 2), (16, 16, 6, 256, 2),
)  # fmt: skip
_SM90: tuple[Row, ...] = tuple((m, n, r, 128, 0) for m, n, r in (
    (256, 128, 1), (192, 128, 1), (128, 128, 1), (64, 256, 1), (192, 64, 1), (64, 128, 2),
    (64, 64, 2), (64, 32, 3), (64, 16, 4), (64, 8, 4), (128, 64, 2), (128, 32, 2), (128, 16, 3),
    (192, 192, 1), (160, 128, 1), (96, 128, 1),
))  # fmt: skip
_SM100: tuple[Row, ...] = tuple((m, n, r, 128, 0) for m, n, r in (
    (256, 256, 1), (256, 128, 1), (256, 192, 1), (128, 128, 1), (128, 64, 1), (128, 32, 2),
    (128, 16, 2), (128, 8, 2), (64, 64, 2), (64, 32, 3), (64, 16, 4), (64, 8, 4), (192, 128, 1),
    (256, 64, 1), (256, 224, 1), (256, 160, 1), (256, 96, 1), (128, 160, 1), (128, 224, 1),
    (128, 96, 1), (192, 192, 1), (320, 128, 1), (192, 160, 1), (192, 224, 1),
))  # fmt: skip
_ANY: tuple[Row, ...] = tuple((m, n, 1, 128, 0) for m, n in (
    (256, 256), (256, 128), (128, 128), (64, 128), (32, 128), (16, 128), (8, 128), (64, 64),
    (32, 64), (16, 64), (8, 64), (32, 32), (16, 16), (64, 256), (512, 128),
))  # fmt: skip
_MENUS = {"ampere": _SM80, "ada": _SM80, "hopper": _SM90, "blackwell": _SM100}
SPLITS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
MOST_STAGES = 8


@dataclass(frozen=True, slots=True)
class Offer:
    """One tile of a library for operands of some width."""

    tm: int
    tn: int
    tk: int
    stages: int
    resident: int
    fresh: bool


@lru_cache(maxsize=None)
def _rows(family: str) -> tuple[Row, ...]:
    rows = _MENUS.get(family, _ANY)
    return tuple(sorted({*rows, *((n, m, *rest) for m, n, *rest in rows)}))  # type: ignore[misc]


def offers(card: Card, item_bytes: float, out_bytes: int, engine: str = "matrix") -> list[Offer]:
    """The tiles that fit a core of the card, for operands of `item_bytes`."""
    chip, known = card.chip, card.chip.family in _MENUS
    scratchpad = chip.scratchpad_bytes - (8192 if known else 0)
    if known:
        scratchpad = min(scratchpad, 224 * 1024)
    _, _, grain = chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    found = []
    for tm, tn, resident, step_bytes, stages in _rows(chip.family):
        tk = max(int(step_bytes / item_bytes), grain)
        step = (tm + tn) * tk * item_bytes
        # a program that starts anew for every tile reuses its operands' slots for the result
        room = scratchpad / resident - (0 if known else tm * tn * out_bytes)
        fit = stages or min(MOST_STAGES, int(room // step))
        sums = tm * tn * 4 * resident
        if fit >= 1 and room > 0 and sums <= chip.register_bytes:
            found.append(Offer(tm, tn, tk, fit, resident, known))
    return found
