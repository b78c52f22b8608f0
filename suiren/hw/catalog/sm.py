"""The shape that NVIDIA's streaming multiprocessors share, from Maxwell to Blackwell."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.hw.catalog.build import chip, scaled
from suiren.hw.spec import Chip
from suiren.units import KiB

#: Rows, columns and depth of one tensor-core instruction, by family.
TILES = {
    "maxwell": (1, 1, 1),
    "pascal": (1, 1, 1),
    "volta": (16, 16, 4),
    "turing": (16, 8, 8),
    "ampere": (16, 8, 16),
    "ada": (16, 8, 16),
    "hopper": (64, 8, 16),
    "blackwell": (64, 16, 16),
}
REGISTER_BYTES = 256 * KiB
"""65,536 registers of 32 bits an SM: CUDA programming guide, compute capabilities."""


def sm(
    source: str,
    name: str,
    title: str,
    family: str,
    year: int,
    *,
    matrix: Mapping[str, float],
    vector: Mapping[str, float],
    l1_kib: float,
    gpcs: float,
    process_nm: float,
    special: float = 16,
) -> Chip:
    """A GPU whose SM has these MACs a cycle; `l1_kib` is L1 with shared memory."""
    return chip(
        source=source,
        name=name,
        title=title,
        vendor="NVIDIA",
        family=family,
        year=year,
        core_name="SM",
        matrix=matrix,
        vector=vector,
        special_per_cycle=special,
        tile_mnk=TILES[family],
        scratchpad_bytes=scaled(l1_kib, KiB, source),
        register_bytes=REGISTER_BYTES,
        core_groups=gpcs,
        process_nm=process_nm,
    )
