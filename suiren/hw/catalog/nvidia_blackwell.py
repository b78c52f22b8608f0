"""NVIDIA datacentre cards with Blackwell: B100, B200, GB200, B300, GB300.

NVIDIA prints peaks of boxes (HGX, NVL72); a card's is the box's divided by its GPUs.
Clocks are solved from the BF16 and the FP32 peak.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, clock, link, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import Fact, assumed, published
from suiren.hw.families import behaviour
from suiren.hw.spec import Card
from suiren.units import GB, TB, GiB, MiB

BRIEF = "NVIDIA Blackwell architecture technical brief, 2024"
HGX = "NVIDIA HGX B200 datasheet, 2024: an eighth of the board, sparse / 2"
NVL72 = "NVIDIA GB200 NVL72 datasheet, 2024: a 72nd of the rack, sparse / 2"
HGX_B300 = "NVIDIA HGX B300 product page, 2025: an eighth of the board"
NVL72_B300 = "NVIDIA GB300 NVL72 product page, 2025: a 72nd of the rack"
_MACS = "unpublished; twice the H100's SM, which puts the B200 at 1.86 GHz"
_ULTRA = "unpublished; by the ratio of the printed peaks to BF16"
_SMS = assumed(148, "what deviceQuery shows, as users report it; NVIDIA prints no SM count")
_L2 = assumed(126 * MiB, "what deviceQuery shows, as users report it; NVIDIA prints none")
_NVLINK = link("NVLink 5", 18, 1800, BRIEF)


def _mac(count: float, why: str = _MACS) -> Fact:
    return assumed(count, why)


GB100 = sm(
    BRIEF,
    "gb100",
    "GB100 (two dies)",
    "blackwell",
    2024,
    matrix={
        "fp64": _mac(64),
        "tf32": _mac(2048),
        "bf16": _mac(4096),
        "fp16": _mac(4096),
        "fp8": _mac(8192),
        "fp4": _mac(16384),
        "int8": _mac(8192),
    },
    vector={"fp64": _mac(64), "fp32": _mac(128), "bf16": _mac(256), "fp16": _mac(256)},
    l1_kib=assumed(256, "unpublished; taken to equal the H100's"),
    gpcs=assumed(8, "unpublished; four a die"),
    process_nm=4,
)
GB110 = replace(
    GB100,
    name="gb110",
    title="GB110 (Blackwell Ultra, two dies)",
    year=2025,
    matrix={
        "tf32": _mac(2048),
        "bf16": _mac(4096),
        "fp16": _mac(4096),
        "fp8": _mac(8192),
        "fp4": _mac(24576, _ULTRA),
        "int8": _mac(256, _ULTRA),
    },
    vector={"fp64": _mac(2, _ULTRA), "fp32": _mac(128), "bf16": _mac(256), "fp16": _mac(256)},
)

#: The printed peaks of HGX boards correspond to less than the clock the boards run at.
_HGX_PACE = replace(
    behaviour("blackwell").pace,
    sustained_clock=assumed(
        1965 / 1855.8, "nvidia-smi shows a highest SM clock of 1965 MHz on HGX boards; from memory"
    ),
)

B200 = card(
    source=HGX,
    pace=_HGX_PACE,
    name="b200",
    title="NVIDIA B200 SXM 180 GB",
    chip=GB100,
    year=2024,
    form="SXM",
    cores=_SMS,
    clock_hz=clock(2250, 148, 4096, HGX, "assumed"),
    vector_clock_hz=clock(75, 148, 128, HGX, "assumed"),
    memory_bytes=180 * GiB,
    memory_bytes_per_s=8 * TB,
    memory_type="HBM3e",
    l2_bytes=_L2,
    host="5.0 x16",
    tdp_w=1000,
    printed=tera(fp32=75, tf32=1125, bf16=2250, fp16=2250, fp8=4500, fp4=9000, int8=4500),
    link=_NVLINK,
    aliases=("b200-sxm-180gb", "hgx b200"),
    capability=(10, 0),
    notes=(
        "HGX boards print 180 GB a GPU, the technical brief 192 GB",
        "FP64 is printed as 37 TFLOP/s, rounded down",
    ),
)

B100 = card(
    source=BRIEF + ", sparse / 2",
    name="b100",
    title="NVIDIA B100 SXM",
    chip=GB100,
    year=2024,
    form="SXM",
    cores=_SMS,
    clock_hz=clock(1750, 148, 4096, BRIEF, "assumed"),
    vector_clock_hz=clock(60, 148, 128, BRIEF, "assumed"),
    memory_bytes=192 * GB,
    memory_bytes_per_s=8 * TB,
    memory_type="HBM3e",
    l2_bytes=_L2,
    host="5.0 x16",
    tdp_w=700,
    printed=tera(fp64=30, fp32=60, tf32=875, bf16=1750, fp16=1750, fp8=3500, fp4=7000, int8=3500),
    link=_NVLINK,
    capability=(10, 0),
)

GB200 = card(
    source=NVL72,
    name="gb200",
    title="NVIDIA GB200 (one of its GPUs)",
    chip=GB100,
    year=2024,
    form="superchip",
    cores=_SMS,
    clock_hz=clock(2500, 148, 4096, NVL72, "assumed"),
    vector_clock_hz=clock(80, 148, 128, NVL72, "assumed"),
    memory_bytes=186 * GB,
    memory_bytes_per_s=8 * TB,
    memory_type="HBM3e",
    l2_bytes=_L2,
    host_bytes_per_s=assumed(225 * GB, "NVLink-C2C 900 GB/s both ways, shared by two GPUs"),
    tdp_w=1200,
    printed=tera(fp64=40, fp32=80, tf32=1250, bf16=2500, fp16=2500, fp8=5000, fp4=10000, int8=5000),
    link=_NVLINK,
    aliases=("gb200 nvl72",),
    capability=(10, 0),
)

B300 = card(
    pace=_HGX_PACE,
    source=HGX_B300,
    name="b300",
    title="NVIDIA B300 SXM 288 GB",
    chip=GB110,
    year=2025,
    form="SXM",
    cores=_SMS,
    clock_hz=clock(2250, 148, 4096, HGX_B300, "assumed"),
    vector_clock_hz=clock(75, 148, 128, HGX_B300, "assumed"),
    memory_bytes=assumed(288 * GB, "twelve-high stacks; HGX pages print 262 to 288 GB a GPU"),
    memory_bytes_per_s=8 * TB,
    memory_type="HBM3e",
    l2_bytes=_L2,
    host="6.0 x16",
    tdp_w=assumed(1100, "from memory; systems print 1100 to 1400 W"),
    printed=tera(fp32=75, tf32=1125, bf16=2250, fp16=2250, fp8=4500, fp4=13500),
    link=_NVLINK,
    aliases=("b300 sxm", "hgx b300"),
    capability=(10, 3),
)

GB300 = replace(
    B300,
    pace=behaviour("blackwell").pace,
    name="gb300",
    title="NVIDIA GB300 (one of its GPUs)",
    form="superchip",
    clock_hz=clock(2500, 148, 4096, NVL72_B300, "assumed"),
    vector_clock_hz=clock(80, 148, 128, NVL72_B300, "assumed"),
    memory_bytes=assumed(279 * GB, "20 TB of a rack / 72; other pages print 288 GB"),
    host_bytes_per_s=GB200.host_bytes_per_s,
    tdp_w=assumed(1400, "from memory; NVIDIA prints up to 1400 W"),
    idle_w=assumed(210, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    printed_flop_per_s={
        "fp32": published(80e12, NVL72_B300),
        "tf32": published(1250e12, NVL72_B300),
        "bf16": published(2500e12, NVL72_B300),
        "fp16": published(2500e12, NVL72_B300),
        "fp8": published(5000e12, NVL72_B300),
        "fp4": published(15000e12, NVL72_B300),
    },
    aliases=("gb300 nvl72",),
)

CARDS: tuple[Card, ...] = (B100, B200, GB200, B300, GB300)
