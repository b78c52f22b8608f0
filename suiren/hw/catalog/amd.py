"""AMD Instinct cards with matrix cores: MI100 to MI355X. Older ones are in `amd_vector.py`."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.amd_chip import (
    CDNA,
    CDNA2,
    CDNA3,
    MI100_CHIP,
    MI200_CHIP,
    MI200_SHEET,
    MI300_CHIP,
    MI350_CHIP,
    MI350_SHEET,
)
from suiren.hw.catalog.build import card, link, tera
from suiren.hw.fact import assumed, fitted, published
from suiren.hw.spec import Card, Conflict
from suiren.units import GB, TB, GiB, MHz, MiB

MI300_SHEET = "AMD Instinct MI300X datasheet, 2023"
MI325_SHEET = "AMD Instinct MI325X datasheet, 2024"
ML_ENG = "stas00/ml-engineering@744d01e compute/accelerator/README.md"
BENCH = "te42kyfo/gpu-benches@1c36d50 gpu-l2-cache, "

MI100 = card(
    source=CDNA,
    name="mi100",
    title="AMD Instinct MI100",
    chip=MI100_CHIP,
    year=2020,
    form="PCIe",
    cores=120,
    clock_hz=1502 * MHz,
    memory_bytes=32 * GiB,
    memory_bytes_per_s=1228.8 * GB,
    memory_type="HBM2",
    l2_bytes=8 * MiB,
    l2_bytes_per_s=fitted(2720 * GB, BENCH + "MI100: 2697 to 2726 GB/s below 8 MB"),
    host="4.0 x16",
    tdp_w=300,
    printed=tera(fp64=11.5, fp32=46.1, bf16=92.3, fp16=184.6, int8=184.6),
    link=link("Infinity Fabric", 3, 276, CDNA),
    aliases=("instinct mi100",),
)
MI210 = card(
    source=MI200_SHEET,
    name="mi210",
    title="AMD Instinct MI210",
    chip=MI200_CHIP,
    year=2022,
    form="PCIe",
    cores=104,
    clock_hz=1700 * MHz,
    memory_bytes=64 * GiB,
    memory_bytes_per_s=1638.4 * GB,
    memory_type="HBM2e",
    l2_bytes=8 * MiB,
    host="4.0 x16",
    tdp_w=300,
    printed=tera(fp64=45.3, fp32=45.3, bf16=181, fp16=181, int8=181),
    link=link("Infinity Fabric", 3, 300, MI200_SHEET),
    aliases=("instinct mi210",),
)
MI250X = card(
    source=ML_ENG,
    name="mi250x",
    title="AMD Instinct MI250X",
    chip=MI200_CHIP,
    year=2021,
    form="OAM",
    cores=220,
    clock_hz=1700 * MHz,
    memory_bytes=128 * GiB,
    memory_bytes_per_s=3276.8 * GB,
    memory_type="HBM2e",
    l2_bytes=published(16 * MiB, CDNA2),
    host="4.0 x16",
    tdp_w=560,
    printed=tera(
        fp64=published(95.7, MI200_SHEET),
        fp32=published(95.7, MI200_SHEET),
        bf16=383,
        fp16=383,
        int8=383,
    ),
    link=link("Infinity Fabric", 8, published(800, MI200_SHEET), ML_ENG),
    aliases=("instinct mi250x",),
    conflicts=(
        Conflict(
            field="link.bytes_per_s",
            versions=(f"700 GB/s ({ML_ENG})", f"800 GB/s, 8 links of 100 ({MI200_SHEET})"),
            used="800 GB/s: the vendor's",
        ),
    ),
    notes=("two dies that a program sees as two devices", "FP32 on vectors is 47.9 TFLOP/s"),
)
MI250 = replace(
    MI250X,
    name="mi250",
    title="AMD Instinct MI250",
    cores=published(208, MI200_SHEET),
    printed_flop_per_s={
        "fp64": published(90.5e12, MI200_SHEET),
        "fp32": published(90.5e12, MI200_SHEET),
        "bf16": published(362.1e12, MI200_SHEET),
        "fp16": published(362.1e12, MI200_SHEET),
        "int8": published(362.1e12, MI200_SHEET),
    },
    link=link("Infinity Fabric", 6, published(600, MI200_SHEET), MI200_SHEET),
    aliases=("instinct mi250",),
    conflicts=(),
)
MI300X = card(
    source=MI300_SHEET,
    name="mi300x",
    title="AMD Instinct MI300X",
    chip=MI300_CHIP,
    year=2023,
    form="OAM",
    cores=304,
    clock_hz=2100 * MHz,
    memory_bytes=192 * GiB,
    memory_bytes_per_s=5300 * GB,
    memory_type="HBM3",
    l2_bytes=published(256 * MiB, CDNA3 + ": Infinity Cache"),
    l2_bytes_per_s=published(17.2 * TB, CDNA3 + ": Infinity Cache"),
    host="5.0 x16",
    tdp_w=750,
    printed=tera(
        fp64=163.4, fp32=163.4, tf32=653.7, bf16=1307.4, fp16=1307.4, fp8=2614.9, int8=2614.9
    ),
    link=link("Infinity Fabric", 7, 896, MI300_SHEET),
    aliases=("instinct mi300x",),
    notes=("a chiplet's own L2, 4 MiB, counts as what units share of a load beyond it",),
)
MI325X = replace(
    MI300X,
    name="mi325x",
    title="AMD Instinct MI325X",
    year=2024,
    memory_bytes=published(256 * GiB, MI325_SHEET),
    memory_bytes_per_s=published(6000 * GB, MI325_SHEET),
    memory_type="HBM3e",
    tdp_w=published(1000, MI325_SHEET),
    idle_w=assumed(150, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    aliases=("instinct mi325x",),
)
MI355X = card(
    source=MI350_SHEET,
    name="mi355x",
    title="AMD Instinct MI355X",
    chip=MI350_CHIP,
    year=2025,
    form="OAM",
    cores=256,
    clock_hz=2400 * MHz,
    memory_bytes=288 * GiB,
    memory_bytes_per_s=8 * TB,
    memory_type="HBM3e",
    l2_bytes=256 * MiB,
    l2_bytes_per_s=assumed(17.2 * TB, "unpublished; the MI300X's Infinity Cache taken"),
    host="5.0 x16",
    tdp_w=1400,
    printed=tera(
        fp64=78.6, fp32=157.3, bf16=2516.6, fp16=2516.6, fp8=5033.2, fp4=10066, int8=5033.2
    ),
    link=link("Infinity Fabric", 7, 1075, MI350_SHEET),
    aliases=("instinct mi355x",),
)
MI350X = replace(
    MI355X,
    name="mi350x",
    title="AMD Instinct MI350X",
    clock_hz=published(2200 * MHz, MI350_SHEET),
    tdp_w=published(1000, MI350_SHEET),
    idle_w=assumed(150, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    printed_flop_per_s={
        "fp64": published(72.1e12, MI350_SHEET),
        "fp32": published(144.2e12, MI350_SHEET),
        "bf16": published(2306.9e12, MI350_SHEET),
        "fp16": published(2306.9e12, MI350_SHEET),
        "fp8": published(4613.7e12, MI350_SHEET),
        "fp4": published(9227e12, MI350_SHEET),
    },
    aliases=("instinct mi350x",),
)

CARDS: tuple[Card, ...] = (MI100, MI210, MI250, MI250X, MI300X, MI325X, MI350X, MI355X)
