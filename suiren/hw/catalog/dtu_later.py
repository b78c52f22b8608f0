"""Enflame's later chips, S60 and L600: no peak was ever published, so no time can be told."""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, link
from suiren.hw.catalog.dtu_conflicts import L600_BANDWIDTH, S60_MEMORY
from suiren.hw.fact import assumed, published
from suiren.hw.spec import Card
from suiren.units import GB, GHz, GiB, KiB, MiB

UBRIDGE = "EnflameTechnology/Ubridge@04c1789 kernels/utils/utils.h"
S60_MANUAL = "official S60 manual, quoted by a third party"
GENERATIONS = "third-party report per generation (eefocus, yicai, 36kr)"
_UNUSED = "unpublished, and unused while no peak is: the chip cannot be timed"

SCORPIO = chip(
    source=UBRIDGE,
    name="gcu300",
    title="gcu300 (scorpio)",
    vendor="Enflame",
    family="dtu3",
    year=2024,
    core_name="SIP",
    matrix={},
    vector={},
    special_per_cycle=assumed(8, _UNUSED),
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=1536 * KiB,
    register_bytes=assumed(128 * KiB, _UNUSED),
    lacks=frozenset({"i64", "u64", "f64"}),
    core_groups=2,
    process_nm=published(6, "TechInsights, quoted"),
)

LIBRA = chip(
    source=GENERATIONS,
    name="gcu400",
    title="gcu400 (libra)",
    vendor="Enflame",
    family="dtu4",
    year=2025,
    core_name="SIP",
    matrix={},
    vector={},
    special_per_cycle=assumed(8, _UNUSED),
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=assumed(1536 * KiB, "unpublished; the S60's taken"),
    register_bytes=assumed(128 * KiB, _UNUSED),
    lacks=frozenset({"f64"}),
)

_NO_PEAK = "no peak in a checkable source: the card can be described but not timed"

CARDS: tuple[Card, ...] = (
    card(
        source=S60_MANUAL,
        name="s60",
        title="Enflame S60",
        chip=SCORPIO,
        year=2024,
        form="PCIe",
        use="infer",
        cores=published(24, UBRIDGE),
        clock_hz=assumed(1.5 * GHz, _UNUSED),
        memory_bytes=48 * GiB,
        memory_bytes_per_s=672 * GB,
        memory_type="GDDR6",
        l2_bytes=published(64 * MiB, UBRIDGE + ": 60 of them usable"),
        host="5.0 x16",
        tdp_w=300,
        aliases=("enflame s60",),
        capability=(13, 0),
        conflicts=(S60_MEMORY,),
        notes=(_NO_PEAK, "the driver shows 49120 MiB, 42976 with ECC on"),
    ),
    card(
        source=GENERATIONS,
        name="l600",
        title="Enflame L600",
        chip=LIBRA,
        year=2025,
        form="OAM",
        cores=published(24, "flagos-ai/FlagGems@ed2508b _enflame: NUM_SIPS"),
        clock_hz=assumed(1.5 * GHz, _UNUSED),
        memory_bytes=144 * GiB,
        memory_bytes_per_s=3600 * GB,
        memory_type="HBM",
        l2_bytes=assumed(64 * MiB, "unpublished; the S60's taken"),
        host="5.0 x16",
        tdp_w=assumed(600, "unpublished; twice the 300 W that the driver shows for an L300"),
        link=link("ESL", assumed(8, "unpublished; 100 GB/s a port taken"), 800, GENERATIONS),
        aliases=("enflame l600",),
        capability=(14, 0),
        conflicts=(L600_BANDWIDTH,),
        notes=(_NO_PEAK, "native FP8"),
    ),
)
