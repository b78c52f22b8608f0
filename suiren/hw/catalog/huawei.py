"""Huawei Ascend 910 and 910B. A core is a DaVinci core with a cube and a vector unit."""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, clock, link, tera
from suiren.hw.fact import Fact, assumed, derived
from suiren.hw.spec import Card, Conflict
from suiren.units import GB, TB, GHz, GiB, KiB, MiB

HC31 = "linleygroup.com newsletter 6076; servethehome.com/?p=37062 (Hot Chips 31)"
FLAGPERF = "FlagOpen/FlagPerf@1b5a030 base/benchmarks/computation-*/ascend"
LIMULIDAE = "limulidae, a public table of measured nodes"
_RECALLED = "from memory; bins B1 to B4 differ and public sheets contradict"
_B_CORES, _B_CLOCK = 20, 1.8e9


def _recalled_macs(tflops: float) -> Fact:
    how = f"{tflops:g} TFLOP/s / (2 × 20 × 1.8 GHz), all three {_RECALLED}"
    return assumed(tflops * 1e12 / (2 * _B_CORES * _B_CLOCK), how)


DAVINCI = chip(
    source=HC31,
    name="ascend910",
    title="Ascend 910 (DaVinci Max)",
    vendor="Huawei",
    family="ascend",
    year=2019,
    core_name="AI core",
    matrix={"fp16": 4096, "int8": 8192},
    vector={
        "fp32": derived(64, HC31 + ": 2048-bit vector unit / 32"),
        "fp16": derived(128, HC31 + ": 2048-bit vector unit / 16"),
    },
    special_per_cycle=assumed(16, "unpublished; a quarter of the FP32 lanes"),
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=1 * MiB,
    register_bytes=assumed(256 * KiB, "L0C buffer of a core"),
    lacks=frozenset({"f64"}),
    process_nm=7,
)
DAVINCI_B = chip(
    source=FLAGPERF,
    name="ascend910b",
    title="Ascend 910B",
    vendor="Huawei",
    family="ascend",
    year=2023,
    core_name="AI core",
    matrix={
        "fp32": _recalled_macs(75),
        "bf16": _recalled_macs(313),
        "fp16": _recalled_macs(313),
        "int8": _recalled_macs(640),
    },
    vector={
        "fp32": assumed(128, "two vector units a core, 2048 bits each"),
        "fp16": assumed(256, "two vector units a core, 2048 bits each"),
    },
    special_per_cycle=assumed(32, "unpublished; a quarter of the FP32 lanes"),
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=assumed(512 * KiB, "L1 buffer of a core, from memory"),
    register_bytes=assumed(128 * KiB, "L0C buffer of a core, from memory"),
    lacks=frozenset({"f64"}),
    process_nm=7,
)

ASCEND_910 = card(
    source=HC31,
    name="ascend910",
    title="Huawei Ascend 910",
    chip=DAVINCI,
    year=2019,
    form="OAM",
    use="train",
    cores=32,
    clock_hz=clock(256, 32, 4096, HC31),
    memory_bytes=32 * GiB,
    memory_bytes_per_s=assumed(1200 * GB, "from memory: four HBM2 stacks"),
    memory_type="HBM2",
    l2_bytes=32 * MiB,
    l2_bytes_per_s=assumed(4 * TB, "from memory of the Hot Chips 31 slides"),
    tdp_w=310,
    printed=tera(fp16=256, int8=512),
    link=link("HCCS", 3, derived(90, HC31 + ": 3 × 240 Gbit/s, taken as all they print"), HC31),
    aliases=("ascend 910a", "910a"),
    conflicts=(
        Conflict(
            field="printed_flop_per_s.fp16",
            versions=(f"256 T ({HC31})", "320 T (later sheet on OpenI)"),
            used="256 T: the 2019 part",
        ),
        Conflict(
            field="cores",
            versions=(f"32 ({HC31})", "24 (one blog)"),
            used="32: the vendor's talk",
        ),
    ),
)

ASCEND_910B = card(
    source=FLAGPERF,
    name="ascend910b",
    title="Huawei Ascend 910B (Atlas 800T A2)",
    chip=DAVINCI_B,
    year=2023,
    form="OAM",
    cores=assumed(_B_CORES, _RECALLED),
    clock_hz=assumed(1.8 * GHz, _RECALLED),
    memory_bytes=64 * GiB,
    memory_bytes_per_s=assumed(1600 * GB, _RECALLED),
    memory_type="HBM2e",
    l2_bytes=assumed(192 * MiB, _RECALLED),
    host="5.0 x16",
    tdp_w=350,
    link=link("HCCS", assumed(7, "one to each other card of 8"), assumed(392, _RECALLED), FLAGPERF),
    aliases=("910b", "atlas 800t a2", "atlas800t a2", "atlas 900 a2", "ascend 910b3"),
    conflicts=(
        Conflict(
            field="printed_flop_per_s",
            versions=(
                "320 T, 64 GB at 400 GB/s (public sheet)",
                "32 GB at 1.2 TB/s (public sheet)",
                f"304 to 313 T in BF16 and FP16, 83 in FP32, 609 in INT8, measured ({FLAGPERF})",
                f"328 T in BF16, measured ({LIMULIDAE})",
            ),
            used="313 T and 64 GB: bins differ, and this one agrees with the measurement",
        ),
    ),
    notes=("measurements reach or pass the recalled peaks: treat utilisations with care",),
)

CARDS: tuple[Card, ...] = (ASCEND_910, ASCEND_910B)
