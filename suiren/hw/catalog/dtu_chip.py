"""Enflame's DTU silicon: one SIP of DTU 1.0, of DTU 2.0 and of its inference sibling."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import chip
from suiren.hw.fact import Fact, assumed, derived, published
from suiren.units import KiB

HC33 = "Hot Chips 33 talk, anandtech.com/show/16906"
EXPORTER = "official gcu-exporter guide (BarryZ001/MapSage_V5 docs/topsrider_official_docs)"
ZOMI = "ZOMI AI-systems course 2023, section 5.3 product table"
LAUNCH = "Leiphone and QbitAI at the launch, July 2021"
I20_LAUNCH = "i20 launch report (Rock-Candy-Tea/RSSHUB-PAGE)"
TOPSGRAPH = "TopsGraph compiler manual: resource 4c24s"
UBRIDGE = "EnflameTechnology/Ubridge@04c1789 kernels/utils/utils.h"

_MAC_WHY = "unpublished; 512 FP32 MACs per SIP, twice DTU 1.0, put the clock at 1.3 to 1.63 GHz"
_LANES = "no vector rate published; vector width / element width: "
_SKIPS = {
    "padding": "AnandTech and ServeTheHome on Hot Chips 33: padding elements are not computed",
    "zeros": "AnandTech on Hot Chips 33: a zero operand is detected, its instruction skipped for "
    "power",
    "compression": "HPCA 2023, doi 10.1109/HPCA56546.2023.10070941, abstract, on the i20: sparse "
    "compression and decompression; taken for the whole family",
}
_SPECIAL = assumed(8, "unpublished; a quarter of the FP32 lanes, as on GPUs")


def _mac(per_sip: float, ratio: str) -> Fact:
    return assumed(per_sip, f"{_MAC_WHY}; {ratio} of FP32 by the printed peaks ({LAUNCH})")


DTU_1 = chip(
    source=HC33,
    name="dtu1",
    title="DTU 1.0 (邃思 1.0, leo)",
    vendor="Enflame",
    family="dtu1",
    year=2019,
    core_name="SIP",
    matrix={
        "fp32": 256,
        "bf16": 1024,
        "fp16": 1024,
        "int8": derived(1024, HC33 + ": a kernel does 4 MACs of 16 or of 8 bits"),
    },
    vector={
        "fp32": assumed(32, _LANES + "1024-bit bus / 32"),
        "bf16": assumed(64, _LANES + "1024-bit bus / 16"),
        "fp16": assumed(64, _LANES + "1024-bit bus / 16"),
    },
    special_per_cycle=_SPECIAL,
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=256 * KiB,
    register_bytes=assumed(64 * KiB, "unpublished; a quarter of L1"),
    lacks=frozenset({"i64", "u64", "f64"}),
    core_groups=4,
    skips=_SKIPS,
    process_nm=12,
)

DTU_2 = chip(
    source=UBRIDGE,
    name="dtu2",
    title="DTU 2.0 (邃思 2.0, gcu200, pavo)",
    vendor="Enflame",
    family="dtu2",
    year=2021,
    core_name="SIP",
    matrix={
        "fp32": assumed(512, _MAC_WHY),
        "tf32": _mac(2048, "4 ×"),
        "bf16": _mac(2048, "4 ×"),
        "fp16": _mac(2048, "4 ×"),
        "int8": _mac(4096, "8 ×"),
    },
    vector={
        "fp32": assumed(32, _LANES + "128 bytes / 4, " + UBRIDGE),
        "bf16": assumed(64, _LANES + "128 bytes / 2, " + UBRIDGE),
        "fp16": assumed(64, _LANES + "128 bytes / 2, " + UBRIDGE),
    },
    special_per_cycle=_SPECIAL,
    tile_mnk=(16, 32, 16),
    scratchpad_bytes=512 * KiB,
    register_bytes=assumed(128 * KiB, "unpublished; a quarter of L1, as taken for DTU 1.0"),
    lacks=frozenset({"i64", "u64", "f64"}),
    core_groups=published(4, TOPSGRAPH),
    skips=_SKIPS,
    process_nm=published(12, LAUNCH),
)

DTU_2_DORADO = replace(
    DTU_2,
    name="dtu2-dorado",
    title="DTU 2.5 (gcu210, dorado)",
    scratchpad_bytes=published(1024 * KiB, UBRIDGE),
    register_bytes=assumed(128 * KiB, "unpublished; taken to equal DTU 2.0's"),
    core_groups=published(2, UBRIDGE),
    skips=_SKIPS,
)
