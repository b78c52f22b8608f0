"""NVIDIA datacentre cards with Ampere: A100 in all its bins, A800, A30, A40, A10, A10G."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, link, macs, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import assumed, fitted, published
from suiren.hw.spec import Card
from suiren.units import GB, GiB, MHz, MiB

PAPER = "NVIDIA A100 whitepaper, 2020, tables 1 to 4"
SHEET = "NVIDIA A100 datasheet, 2021"
ML_ENG = "stas00/ml-engineering@744d01e compute/accelerator/README.md"
GA102_PAPER = "NVIDIA Ampere GA102 whitepaper, 2020"
BENCH = "te42kyfo/gpu-benches@1c36d50 gpu-l2-cache, A100 80 GB: 5364 to 5448 GB/s below 17 MB"
_IDLE = "unpublished; 15 % of the TDP, as datacentre cards draw when idle"

GA100 = sm(
    PAPER,
    "ga100",
    "GA100",
    "ampere",
    2020,
    matrix={"fp64": 64, "tf32": 512, "bf16": 1024, "fp16": 1024, "int8": 2048},
    vector={"fp64": 32, "fp32": 64, "bf16": 128, "fp16": 256},
    l1_kib=192,
    gpcs=8,
    process_nm=7,
)
GA102 = sm(
    GA102_PAPER,
    "ga102",
    "GA102",
    "ampere",
    2020,
    matrix={"tf32": 256, "bf16": 512, "fp16": 512, "int8": 1024},
    vector={"fp64": 2, "fp32": 128, "bf16": 128, "fp16": 128},
    l1_kib=128,
    gpcs=7,
    process_nm=8,
)
_A10G = "NVIDIA A10G datasheet, 2021"
GA102_A10G = replace(
    GA102,
    name="ga102-a10g",
    title="GA102 (A10G bin)",
    matrix={
        "tf32": macs(35, 80, 1.71e9, _A10G),
        "bf16": macs(70, 80, 1.71e9, _A10G),
        "fp16": macs(70, 80, 1.71e9, _A10G),
        "int8": macs(140, 80, 1.71e9, _A10G),
    },
)

A100 = card(
    source=SHEET,
    name="a100",
    title="NVIDIA A100 SXM 80 GB",
    chip=GA100,
    year=2020,
    form="SXM",
    cores=published(108, PAPER),
    clock_hz=published(1410 * MHz, PAPER),
    memory_bytes=80 * GiB,
    memory_bytes_per_s=2039 * GB,
    memory_type="HBM2e",
    l2_bytes=published(40 * MiB, PAPER),
    l2_bytes_per_s=fitted(5420 * GB, BENCH),
    host="4.0 x16",
    tdp_w=400,
    printed=tera(fp64=19.5, fp32=19.5, tf32=156, bf16=312, fp16=312, int8=624),
    link=link("NVLink 3", 12, 600, SHEET),
    aliases=("a100-sxm-80", "a100 80gb", "a100-sxm4-80gb"),
    capability=(8, 0),
)

A100_40 = replace(
    A100,
    name="a100-40",
    title="NVIDIA A100 SXM 40 GB",
    memory_bytes=published(40 * GiB, PAPER),
    memory_bytes_per_s=published(1555 * GB, PAPER),
    memory_type="HBM2",
    aliases=("a100-sxm-40", "a100-sxm4-40gb"),
)

A100_PCIE = replace(
    A100,
    name="a100-pcie",
    title="NVIDIA A100 PCIe 80 GB",
    form="PCIe",
    memory_bytes_per_s=published(1935 * GB, SHEET),
    tdp_w=published(300, SHEET),
    idle_w=assumed(45, _IDLE),
    aliases=("a100-pcie-80", "a100-pcie-80gb"),
    notes=("NVLink joins pairs of cards by a bridge",),
)

A100_PCIE_40 = replace(
    A100_40,
    name="a100-pcie-40",
    title="NVIDIA A100 PCIe 40 GB",
    form="PCIe",
    tdp_w=published(250, "NVIDIA A100 PCIe product brief, 2020"),
    idle_w=assumed(37.5, _IDLE),
    aliases=("a100-pcie-40gb",),
    notes=("NVLink joins pairs of cards by a bridge",),
)

A800 = replace(
    A100,
    name="a800",
    title="NVIDIA A800 SXM 80 GB",
    year=2022,
    link=link("NVLink 3", 8, assumed(400, "from memory: the A100 with NVLink cut"), SHEET),
    aliases=("a800-sxm4-80gb",),
    notes=("400 W and 19.5 TFLOP/s of FP32 confirmed by FlagOpen/FlagPerf@1b5a030",),
)

A30 = card(
    source="NVIDIA A30 datasheet, 2021",
    name="a30",
    title="NVIDIA A30",
    chip=GA100,
    year=2021,
    form="PCIe",
    cores=56,
    clock_hz=1440 * MHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=933 * GB,
    memory_type="HBM2",
    l2_bytes=24 * MiB,
    host="4.0 x16",
    tdp_w=165,
    printed=tera(fp64=10.3, fp32=10.3, tf32=82, bf16=165, fp16=165, int8=330),
    link=link("NVLink 3", 4, 200, "NVIDIA A30 datasheet, 2021"),
    capability=(8, 0),
)

A40 = card(
    source="NVIDIA A40 datasheet, 2021",
    name="a40",
    title="NVIDIA A40",
    chip=GA102,
    year=2020,
    form="PCIe",
    cores=84,
    clock_hz=1740 * MHz,
    memory_bytes=48 * GiB,
    memory_bytes_per_s=696 * GB,
    memory_type="GDDR6",
    l2_bytes=6 * MiB,
    host="4.0 x16",
    tdp_w=300,
    printed=tera(fp32=37.4, tf32=74.8, bf16=149.7, fp16=149.7, int8=299.3),
    link=link("NVLink 3", 4, 112.5, "NVIDIA A40 datasheet, 2021"),
    capability=(8, 6),
)

A10 = card(
    source="NVIDIA A10 datasheet, 2021",
    name="a10",
    title="NVIDIA A10",
    chip=GA102,
    year=2021,
    form="PCIe",
    cores=72,
    clock_hz=1695 * MHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=600 * GB,
    memory_type="GDDR6",
    l2_bytes=6 * MiB,
    host="4.0 x16",
    tdp_w=150,
    printed=tera(fp32=31.2, tf32=62.5, bf16=125, fp16=125, int8=250),
    capability=(8, 6),
)

A10G = card(
    source=_A10G,
    name="a10g",
    title="NVIDIA A10G",
    chip=GA102_A10G,
    year=2021,
    form="PCIe",
    cores=80,
    clock_hz=1710 * MHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=600 * GB,
    memory_type="GDDR6",
    l2_bytes=6 * MiB,
    host="4.0 x16",
    tdp_w=assumed(300, "the power cap that nvidia-smi shows on this card, from memory"),
    printed=tera(fp32=35, tf32=35, bf16=70, fp16=70, int8=140),
    capability=(8, 6),
)

CARDS: tuple[Card, ...] = (A100, A100_40, A100_PCIE, A100_PCIE_40, A800, A30, A40, A10, A10G)
