"""Intel (Habana) Gaudi 1 to 3.

A core is one matrix engine (MME) with its share of the vector processors (TPCs).
"""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, link, macs, tera
from suiren.hw.fact import assumed, published
from suiren.hw.spec import Card, Conflict
from suiren.units import GB, GHz, GiB, KiB, MHz, MiB

ML_ENG = "stas00/ml-engineering@744d01e compute/accelerator/README.md"
GAUDI1_PAPER = "Habana Gaudi training platform whitepaper, 2019"
GAUDI2_PAPER = "Habana Gaudi2 whitepaper, 2022"
GAUDI3_PAPER = "Intel Gaudi 3 whitepaper, 2024"
HOT_CHIPS = "Intel Gaudi 3 AI Accelerator, Hot Chips 2024"
_TPC = "a TPC has 2048 bits of SIMD (whitepaper), so 64 lanes of FP32, × TPCs a core"
_TPC_SFU = assumed(64, "unpublished; special functions take several vector instructions")

GAUDI_1 = chip(
    source=GAUDI1_PAPER,
    name="gaudi1",
    title="Gaudi",
    vendor="Intel",
    family="gaudi",
    year=2019,
    core_name="MME + 8 TPC",
    matrix={
        "fp32": assumed(4762, "unpublished; a quarter of BF16"),
        "bf16": macs(60, 1, 1.575e9, HOT_CHIPS + ": Gaudi column", "assumed"),
    },
    vector={"fp32": assumed(512, _TPC), "bf16": assumed(1024, _TPC)},
    special_per_cycle=_TPC_SFU,
    tile_mnk=(128, 128, 16),
    scratchpad_bytes=assumed(640 * KiB, "80 KB of local memory × 8 TPCs"),
    register_bytes=assumed(128 * KiB, "FP32 accumulators of the matrix engine"),
    lacks=frozenset({"i64", "f64"}),
    process_nm=16,
)
GAUDI_2 = chip(
    source=GAUDI2_PAPER,
    name="gaudi2",
    title="Gaudi 2",
    vendor="Intel",
    family="gaudi",
    year=2022,
    core_name="MME + 12 TPC",
    matrix={
        "fp32": assumed(16384, "unpublished; a quarter of BF16"),
        "bf16": macs(432, 2, 1.65e9, ML_ENG),
        "fp8": macs(865, 2, 1.65e9, ML_ENG),
    },
    vector={"fp32": assumed(768, _TPC), "bf16": assumed(1536, _TPC)},
    special_per_cycle=_TPC_SFU,
    tile_mnk=(256, 256, 16),
    scratchpad_bytes=assumed(960 * KiB, "80 KB of local memory × 12 TPCs"),
    register_bytes=assumed(256 * KiB, "FP32 accumulators of a 256 × 256 engine"),
    lacks=frozenset({"i64", "f64"}),
    process_nm=7,
)
GAUDI_3 = chip(
    source=GAUDI3_PAPER,
    name="gaudi3",
    title="Gaudi 3",
    vendor="Intel",
    family="gaudi",
    year=2024,
    core_name="MME + 8 TPC",
    matrix={
        "fp32": macs(229, 8, 1.6e9, ML_ENG),
        "tf32": macs(459, 8, 1.6e9, ML_ENG),
        "bf16": macs(1677, 8, 1.6e9, ML_ENG),
        "fp16": macs(459, 8, 1.6e9, ML_ENG),
        "fp8": macs(1677, 8, 1.6e9, ML_ENG),
    },
    vector={"fp32": assumed(512, _TPC), "bf16": assumed(1024, _TPC)},
    special_per_cycle=_TPC_SFU,
    tile_mnk=(256, 256, 16),
    scratchpad_bytes=assumed(640 * KiB, "80 KB of local memory × 8 TPCs"),
    register_bytes=assumed(256 * KiB, "FP32 accumulators of a 256 × 256 engine"),
    lacks=frozenset({"i64", "f64"}),
    process_nm=5,
)

CARDS: tuple[Card, ...] = (
    card(
        source=GAUDI1_PAPER,
        name="gaudi1",
        title="Habana Gaudi HL-205",
        chip=GAUDI_1,
        year=2019,
        form="OAM",
        cores=1,
        clock_hz=assumed(1.575 * GHz, "unpublished; a little below Gaudi2's"),
        memory_bytes=32 * GiB,
        memory_bytes_per_s=1000 * GB,
        memory_type="HBM2",
        l2_bytes=24 * MiB,
        l2_bytes_per_s=assumed(3200 * GB, "unpublished; half of Gaudi2's"),
        tdp_w=350,
        link=link("RoCE 100GbE", 10, 250, GAUDI1_PAPER),
        printed=tera(bf16=published(60, HOT_CHIPS + ": Gaudi column")),
        aliases=("gaudi", "gaudi gen 1"),
        conflicts=(
            Conflict(
                field="memory_bytes_per_s",
                versions=(f"1000 GB/s ({GAUDI1_PAPER})", f"900 GB/s ({HOT_CHIPS})"),
                used="1000 GB/s: the vendor's of its year",
            ),
        ),
        notes=("the clock is a guess; so is what one clock multiplies",),
    ),
    card(
        source=ML_ENG,
        name="gaudi2",
        title="Intel Gaudi 2",
        chip=GAUDI_2,
        year=2022,
        form="OAM",
        cores=published(2, GAUDI2_PAPER),
        clock_hz=1650 * MHz,
        memory_bytes=96 * GiB,
        memory_bytes_per_s=2460 * GB,
        memory_type="HBM2E",
        l2_bytes=48 * MiB,
        l2_bytes_per_s=published(6400 * GB, GAUDI3_PAPER + ": Gaudi 2 column"),
        tdp_w=600,
        printed=tera(bf16=432, fp8=865),
        link=link("RoCE 100GbE", 24, 600, ML_ENG),
        aliases=("habana gaudi2", "hl-225"),
    ),
    card(
        source=ML_ENG,
        name="gaudi3",
        title="Intel Gaudi 3",
        chip=GAUDI_3,
        year=2024,
        form="OAM",
        cores=published(8, GAUDI3_PAPER),
        clock_hz=1600 * MHz,
        memory_bytes=128 * GiB,
        memory_bytes_per_s=3700 * GB,
        memory_type="HBM2e",
        l2_bytes=96 * MiB,
        l2_bytes_per_s=published(12800 * GB, GAUDI3_PAPER),
        host="5.0 x16",
        tdp_w=900,
        printed=tera(fp32=229, tf32=459, bf16=1677, fp16=459, fp8=1677),
        link=link("RoCE 200GbE", 24, 1200, ML_ENG),
        aliases=("habana gaudi3", "hl-325"),
        conflicts=(
            Conflict(
                field="printed_flop_per_s.bf16",
                versions=(f"1677 T ({ML_ENG})", f"1835 T ({GAUDI3_PAPER})"),
                used="1677 T: 8 × 256 × 256 MACs at 1.6 GHz give it",
            ),
        ),
    ),
)
