"""AMD's chips, by compute unit (CU): GCN's Vega, CDNA 1 to 4, RDNA 2 and 3."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.hw.catalog.build import chip
from suiren.hw.fact import assumed
from suiren.hw.spec import Chip
from suiren.units import KiB

VEGA = "AMD Vega architecture whitepaper, 2017"
MI50_SHEET = "AMD Radeon Instinct MI50 and MI60 datasheets, 2018"
CDNA = "AMD CDNA whitepaper, 2020"
CDNA2 = "AMD CDNA 2 whitepaper, 2021"
MI200_SHEET = "AMD Instinct MI200 datasheets, 2021"
CDNA3 = "AMD CDNA 3 whitepaper, 2023"
MI350_SHEET = "AMD Instinct MI350X and MI355X datasheets, 2025"
RDNA2 = "amd.com Radeon RX 6900 XT page, 2020"
RDNA3 = "amd.com Radeon RX 7900 XTX page, 2022"


def _cu(
    source: str,
    name: str,
    family: str,
    year: int,
    matrix: Mapping[str, float],
    vector: Mapping[str, float],
    *,
    register_kib: int = 256,
    lds_kib: int = 64,
    process_nm: float,
) -> Chip:
    """A GPU of compute units (CUs); transcendentals run at a quarter of 64 lanes."""
    return chip(
        source=source,
        name=name,
        title=name.upper(),
        vendor="AMD",
        family=family,
        year=year,
        core_name="CU",
        matrix=matrix,
        vector=vector,
        special_per_cycle=assumed(16, "quarter rate of 64 lanes, as AMD's ISA guides say"),
        tile_mnk=(16, 16, 16) if matrix else (1, 1, 1),
        scratchpad_bytes=lds_kib * KiB,
        register_bytes=assumed(register_kib * KiB, "vector registers of a CU, from memory"),
        process_nm=process_nm,
    )


VEGA_10 = _cu(VEGA, "vega10", "vega", 2017, {}, {"fp64": 4, "fp32": 64, "fp16": 128}, process_nm=14)
VEGA_20 = _cu(
    MI50_SHEET,
    "vega20",
    "vega",
    2018,
    {},
    {"fp64": 32, "fp32": 64, "fp16": 128, "int8": 256},
    process_nm=7,
)
MI100_CHIP = _cu(
    CDNA,
    "cdna1",
    "cdna",
    2020,
    {"fp32": 128, "bf16": 256, "fp16": 512, "int8": 512},
    {"fp64": 32, "fp32": 64, "fp16": 128},
    register_kib=512,
    process_nm=7,
)
MI200_CHIP = _cu(
    CDNA2,
    "cdna2",
    "cdna2",
    2021,
    {"fp64": 128, "fp32": 128, "bf16": 512, "fp16": 512, "int8": 512},
    {"fp64": 64, "fp32": 64, "fp16": 128},
    register_kib=512,
    process_nm=6,
)
MI300_CHIP = _cu(
    CDNA3,
    "cdna3",
    "cdna3",
    2023,
    {
        "fp64": 128,
        "fp32": 128,
        "tf32": 512,
        "bf16": 1024,
        "fp16": 1024,
        "fp8": 2048,
        "int8": 2048,
    },
    {"fp64": 64, "fp32": 128, "fp16": 128},
    register_kib=512,
    process_nm=5,
)
MI350_CHIP = _cu(
    MI350_SHEET,
    "cdna4",
    "cdna4",
    2025,
    {"fp64": 64, "bf16": 2048, "fp16": 2048, "fp8": 4096, "fp4": 8192, "int8": 4096},
    {"fp64": 64, "fp32": 128, "fp16": 128},
    register_kib=512,
    lds_kib=160,
    process_nm=3,
)
NAVI_21 = _cu(
    RDNA2, "navi21", "rdna2", 2020, {}, {"fp64": 4, "fp32": 64, "fp16": 128}, process_nm=7
)
NAVI_31 = _cu(
    RDNA3,
    "navi31",
    "rdna3",
    2022,
    {"bf16": 256, "fp16": 256, "int8": 256},
    {"fp64": 4, "fp32": 128, "fp16": 256},
    process_nm=5,
)
