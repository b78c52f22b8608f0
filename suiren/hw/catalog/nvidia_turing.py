"""NVIDIA cards of Volta and Turing that benchmarks of 2018 to 2020 use: Titan, GeForce, Quadro.

GeForce tensor cores run at half rate when they accumulate in FP32, which training does; Titan and
Quadro cards do not. Clocks are those of the reference boards.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, link, tera
from suiren.hw.catalog.nvidia_pascal import GP104
from suiren.hw.catalog.nvidia_volta import GV100, TU102
from suiren.hw.catalog.sm import sm
from suiren.hw.spec import Card
from suiren.units import GB, GiB, KiB, MHz, MiB

TURING = "NVIDIA Turing GPU architecture whitepaper, 2018"
TITAN_V = "nvidia.com product page of the Titan V, 2017"
TITAN_RTX = "NVIDIA Titan RTX product page, 2018"
QUADRO = "NVIDIA Quadro RTX 5000 datasheet, 2018"
GTX = "NVIDIA GeForce GTX 1080 whitepaper, 2016"

TU102_GEFORCE = sm(
    TURING,
    "tu102-geforce",
    "TU102 (GeForce)",
    "turing",
    2018,
    matrix={"fp16": 256, "int8": 1024},
    vector={"fp64": 2, "fp32": 64, "fp16": 128},
    l1_kib=96,
    gpcs=6,
    process_nm=12,
)
TU104_GEFORCE = replace(TU102_GEFORCE, name="tu104-geforce", title="TU104 (GeForce)")

CARDS: tuple[Card, ...] = (
    card(
        source=GTX,
        name="gtx-1080",
        title="NVIDIA GeForce GTX 1080",
        chip=GP104,
        year=2016,
        form="PCIe",
        cores=20,
        clock_hz=1733 * MHz,
        memory_bytes=8 * GiB,
        memory_bytes_per_s=320 * GB,
        memory_type="GDDR5X",
        l2_bytes=2 * MiB,
        host="3.0 x16",
        tdp_w=180,
        aliases=("1080", "gtx 1080", "geforce gtx 1080"),
        capability=(6, 1),
    ),
    card(
        source=TITAN_V,
        name="titan-v",
        title="NVIDIA Titan V",
        chip=GV100,
        year=2017,
        form="PCIe",
        cores=80,
        clock_hz=1455 * MHz,
        memory_bytes=12 * GiB,
        memory_bytes_per_s=652.8 * GB,
        memory_type="HBM2",
        l2_bytes=4608 * KiB,
        host="3.0 x16",
        tdp_w=250,
        aliases=("titanv", "titan v"),
        capability=(7, 0),
    ),
    card(
        source=TURING,
        name="rtx-2080-ti",
        title="NVIDIA GeForce RTX 2080 Ti",
        chip=TU102_GEFORCE,
        year=2018,
        form="PCIe",
        cores=68,
        clock_hz=1545 * MHz,
        memory_bytes=11 * GiB,
        memory_bytes_per_s=616 * GB,
        memory_type="GDDR6",
        l2_bytes=5632 * KiB,
        host="3.0 x16",
        tdp_w=250,
        printed=tera(fp32=13.4, fp16=53.8, int8=215.2),
        link=link("NVLink 2 bridge", 2, 100, TURING),
        aliases=("2080ti", "rtx 2080ti", "rtx2080ti", "geforce rtx 2080 ti"),
        capability=(7, 5),
    ),
    card(
        source=TURING,
        name="rtx-2080",
        title="NVIDIA GeForce RTX 2080",
        chip=TU104_GEFORCE,
        year=2018,
        form="PCIe",
        cores=46,
        clock_hz=1710 * MHz,
        memory_bytes=8 * GiB,
        memory_bytes_per_s=448 * GB,
        memory_type="GDDR6",
        l2_bytes=4 * MiB,
        host="3.0 x16",
        tdp_w=215,
        printed=tera(fp32=10.1, fp16=40.3, int8=161.1),
        aliases=("2080", "rtx 2080", "geforce rtx 2080"),
        capability=(7, 5),
    ),
    card(
        source=TITAN_RTX,
        name="titan-rtx",
        title="NVIDIA Titan RTX",
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
        tdp_w=280,
        printed=tera(fp32=16.3, fp16=130.5, int8=261),
        link=link("NVLink 2 bridge", 2, 100, TURING),
        aliases=("titanrtx", "titan rtx"),
        capability=(7, 5),
    ),
    card(
        source=QUADRO,
        name="quadro-rtx-5000",
        title="NVIDIA Quadro RTX 5000",
        chip=replace(TU102, name="tu104-quadro", title="TU104 (Quadro)"),
        year=2018,
        form="PCIe",
        cores=48,
        clock_hz=1815 * MHz,
        memory_bytes=16 * GiB,
        memory_bytes_per_s=448 * GB,
        memory_type="GDDR6",
        l2_bytes=4 * MiB,
        host="3.0 x16",
        tdp_w=230,
        printed=tera(fp32=11.2, fp16=89.2, int8=178.4),
        aliases=("rtx5000", "rtx 5000", "quadro rtx5000"),
        capability=(7, 5),
    ),
)
