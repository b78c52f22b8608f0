"""NVIDIA workstation cards: Quadro RTX, RTX A, RTX Ada and RTX PRO Blackwell."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, link, tera
from suiren.hw.catalog.nvidia_ada import AD102
from suiren.hw.catalog.nvidia_ampere import GA102
from suiren.hw.catalog.nvidia_volta import TU102
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import published
from suiren.hw.spec import Card
from suiren.units import GB, GHz, GiB, MHz, MiB

TURING = "NVIDIA Turing whitepaper, 2018, Quadro RTX 6000 table"
A6000 = "NVIDIA RTX A6000 datasheet, 2021"
A5000 = "NVIDIA RTX A5000 datasheet, 2021"
A4000 = "NVIDIA RTX A4000 datasheet, 2021"
ADA = "NVIDIA RTX 6000 Ada datasheet, 2023; peaks with sparsity / 2 or / 4 of FP8's"
PRO = "NVIDIA RTX Blackwell PRO GPU architecture whitepaper, 2025"

GB202 = sm(
    PRO,
    "gb202",
    "GB202",
    "ada",  # warp-level matrix instructions as Ada's: compute capability 12.0, not 10.0
    2025,
    matrix={"tf32": 256, "bf16": 512, "fp16": 512, "fp8": 1024, "fp4": 2048, "int8": 1024},
    vector={"fp64": 2, "fp32": 128, "bf16": 128, "fp16": 128},
    l1_kib=128,
    gpcs=12,
    process_nm=4,
)

QUADRO_RTX_6000 = card(
    source=TURING,
    name="quadro-rtx-6000",
    title="NVIDIA Quadro RTX 6000",
    chip=TU102,
    year=2018,
    form="PCIe",
    cores=72,
    clock_hz=1770 * MHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=672 * GB,
    memory_type="GDDR6",
    l2_bytes=6 * MiB,
    host="3.0 x16",
    tdp_w=260,
    printed=tera(fp32=16.3, fp16=130.5, int8=261),
    link=link("NVLink 2 bridge", 2, 100, TURING),
    aliases=("rtx6000", "rtx 6000"),
    capability=(7, 5),
)

CARDS: tuple[Card, ...] = (
    QUADRO_RTX_6000,
    replace(
        QUADRO_RTX_6000,
        name="quadro-rtx-8000",
        title="NVIDIA Quadro RTX 8000",
        memory_bytes=published(48 * GiB, "NVIDIA Quadro RTX 8000 datasheet, 2018"),
        aliases=("rtx8000", "rtx 8000"),
    ),
    card(
        source=A6000,
        name="rtx-a6000",
        title="NVIDIA RTX A6000",
        chip=GA102,
        year=2020,
        form="PCIe",
        cores=84,
        clock_hz=1800 * MHz,
        memory_bytes=48 * GiB,
        memory_bytes_per_s=768 * GB,
        memory_type="GDDR6",
        l2_bytes=6 * MiB,
        host="4.0 x16",
        tdp_w=300,
        printed=tera(fp32=38.7, tf32=77.4, bf16=154.8, fp16=154.8, int8=309.7),
        link=link("NVLink 3 bridge", 4, 112.5, A6000),
        aliases=("a6000",),
        capability=(8, 6),
    ),
    card(
        source=A5000,
        name="rtx-a5000",
        title="NVIDIA RTX A5000",
        chip=GA102,
        year=2021,
        form="PCIe",
        cores=64,
        clock_hz=1695 * MHz,
        memory_bytes=24 * GiB,
        memory_bytes_per_s=768 * GB,
        memory_type="GDDR6",
        l2_bytes=6 * MiB,
        host="4.0 x16",
        tdp_w=230,
        printed=tera(fp32=27.8, tf32=55.6, bf16=111.1, fp16=111.1),
        link=link("NVLink 3 bridge", 4, 112.5, A5000),
        aliases=("a5000",),
        capability=(8, 6),
    ),
    card(
        source=A4000,
        name="rtx-a4000",
        title="NVIDIA RTX A4000",
        chip=replace(GA102, name="ga104", title="GA104", core_groups=None),
        year=2021,
        form="PCIe",
        cores=48,
        clock_hz=1560 * MHz,
        memory_bytes=16 * GiB,
        memory_bytes_per_s=448 * GB,
        memory_type="GDDR6",
        l2_bytes=4 * MiB,
        host="4.0 x16",
        tdp_w=140,
        printed=tera(fp32=19.2, tf32=38.3, bf16=76.7, fp16=76.7),
        aliases=("a4000",),
        capability=(8, 6),
    ),
    card(
        source=ADA,
        name="rtx-6000-ada",
        title="NVIDIA RTX 6000 Ada",
        chip=AD102,
        year=2022,
        form="PCIe",
        cores=142,
        clock_hz=2.505 * GHz,
        memory_bytes=48 * GiB,
        memory_bytes_per_s=960 * GB,
        memory_type="GDDR6",
        l2_bytes=96 * MiB,
        host="4.0 x16",
        tdp_w=300,
        printed=tera(fp32=91.1, tf32=182.1, bf16=364.2, fp16=364.2, fp8=728.5, int8=728.5),
        aliases=("6000 ada", "rtx 6000 ada generation"),
        capability=(8, 9),
    ),
    card(
        source=PRO,
        name="rtx-pro-6000",
        title="NVIDIA RTX PRO 6000 Blackwell",
        chip=GB202,
        year=2025,
        form="PCIe",
        cores=188,
        clock_hz=2.617 * GHz,
        memory_bytes=96 * GiB,
        memory_bytes_per_s=1792 * GB,
        memory_type="GDDR7",
        l2_bytes=128 * MiB,
        host="5.0 x16",
        tdp_w=600,
        printed=tera(
            fp32=125, tf32=251.9, bf16=503.8, fp16=503.8, fp8=1007.6, fp4=2015.2, int8=1007.6
        ),
        aliases=("rtx pro 6000 blackwell", "rtx pro 6000 blackwell workstation edition"),
        capability=(12, 0),
        notes=("the server edition has 1597 GB/s",),
    ),
)
