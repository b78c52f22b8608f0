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

from suiren.dtype import bits_of, moved_bytes
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
    (32, 64), (16, 64), (8, 64), (32, 32), (16, 16), (64, 256), (512, 128), (512, 512),
    (1024, 512), (1024, 1024), (2048, 1024),
))  # fmt: skip
_SM70: tuple[Row, ...] = (
    (256, 128, 1, 64, 2), (128, 128, 1, 64, 2), (128, 64, 2, 64, 2), (64, 64, 4, 64, 2),
    (64, 32, 4, 128, 2), (32, 32, 4, 128, 2),
)  # fmt: skip
#: Tensile's macro tiles for CDNA (`Cijk_…_MT256x256x64_…`): what is multiplied lies in the LDS,
#: what comes next waits in registers (its options PrefetchGlobalRead and 1LDSBuffer), and sums
#: lie in the other half of the registers.
_TENSILE: tuple[Row, ...] = tuple((m, n, r, 128, 2) for m, n, r in (
    (256, 256, 1), (256, 224, 1), (256, 192, 1), (256, 160, 1), (256, 128, 1), (256, 96, 1),
    (256, 64, 1), (192, 192, 1), (192, 128, 1), (128, 128, 2), (128, 64, 2), (64, 64, 4),
    (64, 32, 4), (32, 32, 6), (16, 16, 6),
))  # fmt: skip
#: Gaudi's engine keeps 256 by 256 sums; copy engines bring slices of the operands into the shared
#: memory while it multiplies the slice before (Habana's forum, "About MME profiling result").
_MME: tuple[Row, ...] = ((256, 256, 1, 256, 16), (128, 128, 1, 256, 16), (128, 256, 1, 256, 16))
_MENUS = {
    "gaudi": _MME,
    "cdna2": _TENSILE,
    "cdna3": _TENSILE,
    "cdna4": _TENSILE,
    "volta": _SM70,
    "turing": _SM70,
    "ampere": _SM80,
    "ada": _SM80,
    "hopper": _SM90,
    "blackwell": _SM100,
}
#: Families whose engines go on to their next tile while they finish the last one.
_GOES_ON = frozenset({"gaudi"})
#: Kernels for FP32 lanes (`volta_sgemm_128x64_tn`, `…_32x32_sliced1x4_nn`): 256 programs of 8 by
#: 8 sums a core, operands 8 deep; `sliced1x4` ones share a tile's depth among four groups. Which
#: family offers which was read off kernel names of all NeuSight rows, `check` too; ada, hopper,
#: blackwell and vega are assumed to be like ampere or volta.
_SGEMM: tuple[Row, ...] = tuple(
    (m, n, min(8, 2 * 128 * 128 // (m * n)), 32, 2)
    for m, n in ((128, 128), (64, 128), (64, 64), (32, 128), (128, 32))
)
_SLICED: tuple[Row, ...] = ((32, 128, 2, 128, 2), (32, 64, 4, 128, 2), (32, 32, 8, 128, 2))
_LANES = {
    "maxwell": _SGEMM + _SLICED, "pascal": (*_SGEMM[2:], _SGEMM[1]), "volta": _SGEMM + _SLICED,
    "turing": _SGEMM + _SLICED, "ampere": _SGEMM + _SLICED, "ada": _SGEMM + _SLICED,
    "hopper": _SGEMM + _SLICED, "blackwell": _SGEMM + _SLICED, "vega": _SGEMM + _SLICED,
}  # fmt: skip
#: What the library takes for products in batches.
_BATCHES: dict[str, tuple[Row, ...]] = {
    "maxwell": (_SGEMM[1],), "pascal": (_SGEMM[1],), "volta": _SGEMM[2:],
    "turing": (_SGEMM[1], *_SGEMM[2:4]), "ampere": (_SGEMM[0],), "ada": (_SGEMM[0],),
    "hopper": (_SGEMM[0],), "blackwell": (_SGEMM[0],),
}  # fmt: skip
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
def _rows(family: str, engine: str = "matrix", batched: bool = False) -> tuple[Row, ...]:
    if engine == "vector" and family in _LANES:  # rows are not columns here: a tile lies one way
        return _BATCHES.get(family, _LANES[family]) if batched else _LANES[family]
    rows = _MENUS.get(family, _ANY)
    turned = ((n, m, resident, deep, stages) for m, n, resident, deep, stages in rows)
    return tuple(sorted({*rows, *turned}))


def offers(
    card: Card, dtype: str, out: str, engine: str = "matrix", batched: bool = False
) -> list[Offer]:
    """The tiles that fit a core of the card, for operands and result of some formats."""
    item_bytes, out_bytes = moved_bytes(dtype), moved_bytes(out)
    chip = card.chip
    known = chip.family in (_MENUS if engine == "matrix" else _LANES)
    scratchpad = chip.scratchpad_bytes - (8192 if known else 0)
    if known:
        scratchpad = min(scratchpad, 224 * 1024)
    _, _, grain = chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    found = []
    for tm, tn, resident, step_bytes, stages in _rows(chip.family, engine, batched):
        tk = max(8 * step_bytes // bits_of(dtype), grain)
        step = (tm + tn) * tk * item_bytes
        # a program that starts anew for every tile reuses its operands' slots for the result
        room = scratchpad / resident - (0 if known else tm * tn * out_bytes)
        fit = stages or min(MOST_STAGES, int(room // step))
        sums = tm * tn * 4 * resident
        if fit >= 1 and room > 0 and sums <= chip.register_bytes:
            # programs that share a core start and end apart from each other
            fresh = known and engine == "matrix" and chip.family not in _GOES_ON
            found.append(Offer(tm, tn, tk, fit, resident, fresh))
    gm, gn, _ = chip.tile_mnk if engine == "matrix" else (1, 1, 1)
    return found or [Offer(gm, gn, grain, 1, 1, False)]
