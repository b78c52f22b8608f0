"""NVIDIA datacentre cards with Hopper: H100 in all its bins, H800, H200, H20, GH200.

The tensor peaks are printed at a lower clock than the FP32 peak, so a card has two.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, clock, link, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import Fact, assumed, derived, fitted, published
from suiren.hw.spec import Card
from suiren.units import GB, GiB, MHz, MiB

PAPER = "NVIDIA H100 whitepaper, 2022"
SHEET = "NVIDIA H100 datasheet, 2023: peaks with sparsity / 2"
H200_SHEET = "NVIDIA H200 datasheet, 2024: peaks with sparsity / 2"
GH200_SHEET = "NVIDIA GH200 datasheet, 2023"
ML_ENG = "stas00/ml-engineering@744d01e compute/accelerator/README.md"
H20_TABLE = "zangshuxian.com/new/674733024499207168; 148e12 in pytorch/torchtitan tools/utils.py"
BENCH = "te42kyfo/gpu-benches@1c36d50 gpu-l2-cache, H100 PCIe: 6912 to 7045 GB/s below 17 MB"
_NVLINK = link("NVLink 4", 18, 900, SHEET)
_FP64 = "the FP64 tensor peak of 67 TFLOP/s is printed at the FP32 clock"

GH100 = sm(
    PAPER,
    "gh100",
    "GH100",
    "hopper",
    2022,
    matrix={"fp64": 128, "tf32": 1024, "bf16": 2048, "fp16": 2048, "fp8": 4096, "int8": 4096},
    vector={"fp64": 64, "fp32": 128, "bf16": 256, "fp16": 256},
    l1_kib=256,
    gpcs=8,
    process_nm=4,
)
GH100_H20 = replace(
    GH100,
    name="gh100-h20",
    title="GH100 (H20 bin)",
    matrix={
        name: assumed(macs, "a quarter of the H100's by the printed 148 TFLOP/s of 78 SMs")
        for name, macs in {"tf32": 256, "bf16": 512, "fp16": 512, "fp8": 1024, "int8": 1024}.items()
    },
)


def _l2_rate(sms: int, clock_hz: float) -> Fact:
    return derived(6980 * GB * sms * clock_hz / (114 * 1755e6), BENCH + "; × SMs × clock")


H100 = card(
    source=SHEET,
    name="h100",
    title="NVIDIA H100 SXM 80 GB",
    chip=GH100,
    year=2022,
    form="SXM",
    cores=published(132, PAPER),
    clock_hz=published(1830 * MHz, PAPER),
    vector_clock_hz=derived(1980 * MHz, "66.9 TFLOP/s / (2 × 132 × 128); " + SHEET),
    memory_bytes=80 * GiB,
    memory_bytes_per_s=3350 * GB,
    memory_type="HBM3",
    l2_bytes=published(50 * MiB, PAPER),
    l2_bytes_per_s=_l2_rate(132, 1830e6),
    host="5.0 x16",
    tdp_w=700,
    printed=tera(fp32=67, tf32=494.5, bf16=989, fp16=989, fp8=1979, int8=1979),
    link=_NVLINK,
    aliases=("h100-sxm", "h100-sxm5", "h100-sxm5-80gb"),
    capability=(9, 0),
    notes=(_FP64,),
)

H100_96 = replace(
    H100,
    name="h100-96",
    title="NVIDIA H100 SXM 96 GB",
    memory_bytes=assumed(96 * GiB, "the capacity in the name; no datasheet of this bin found"),
    aliases=("h100-sxm5-96gb",),
)

H100_PCIE = card(
    source=SHEET,
    name="h100-pcie",
    title="NVIDIA H100 PCIe 80 GB",
    chip=GH100,
    year=2022,
    form="PCIe",
    cores=published(114, PAPER),
    clock_hz=clock(756, 114, 2048, SHEET),
    vector_clock_hz=published(1755 * MHz, "NVIDIA H100 PCIe product brief, 2022: boost clock"),
    memory_bytes=80 * GiB,
    memory_bytes_per_s=2000 * GB,
    memory_type="HBM2e",
    l2_bytes=published(50 * MiB, PAPER),
    l2_bytes_per_s=fitted(6980 * GB, BENCH),
    host="5.0 x16",
    tdp_w=350,
    printed=tera(fp32=51.2, tf32=378, bf16=756, fp16=756, fp8=1513, int8=1513),
    link=link("NVLink 4 bridge", 12, 600, SHEET),
    capability=(9, 0),
)

_NVL = "NVIDIA H100 NVL datasheet, 2023: peaks with sparsity / 2"
H100_NVL = card(
    source=_NVL,
    name="h100-nvl",
    title="NVIDIA H100 NVL 94 GB",
    chip=GH100,
    year=2023,
    form="NVL",
    cores=published(132, PAPER),
    clock_hz=clock(835.5, 132, 2048, _NVL),
    vector_clock_hz=clock(60, 132, 128, _NVL),
    memory_bytes=94 * GiB,
    memory_bytes_per_s=3900 * GB,
    memory_type="HBM3",
    l2_bytes=published(50 * MiB, PAPER),
    l2_bytes_per_s=_l2_rate(132, 1545e6),
    host="5.0 x16",
    tdp_w=400,
    printed=tera(fp32=60, bf16=835.5, fp16=835.5, fp8=1670.5, int8=1670.5),
    link=link("NVLink 4 bridge", 12, 600, _NVL),
    capability=(9, 0),
)

H800 = replace(
    H100,
    name="h800",
    title="NVIDIA H800 SXM 80 GB",
    year=2023,
    link=link("NVLink 4", 8, assumed(400, "from memory: the H100 with NVLink cut"), SHEET),
    aliases=("h800-sxm5",),
    notes=("taken as the H100 with NVLink cut", "FP64 is cut as well, by an unpublished factor"),
)

H200 = replace(
    H100,
    name="h200",
    title="NVIDIA H200 SXM 141 GB",
    year=2023,
    memory_bytes=published(
        141 * GiB, H200_SHEET + "; GiB as the driver counts, like the 80 GB cards"
    ),
    memory_bytes_per_s=published(4800 * GB, H200_SHEET),
    memory_type="HBM3e",
    aliases=("h200-sxm5-141gb",),
)

H200_NVL = replace(
    H100_NVL,
    name="h200-nvl",
    title="NVIDIA H200 NVL 141 GB",
    year=2024,
    memory_bytes=published(
        141 * GiB, H200_SHEET + "; GiB as the driver counts, like the 80 GB cards"
    ),
    memory_bytes_per_s=published(4800 * GB, H200_SHEET),
    memory_type="HBM3e",
    tdp_w=published(600, H200_SHEET),
    idle_w=assumed(90, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    link=link("NVLink 4 bridge", 18, 900, H200_SHEET),
)

H20 = card(
    source=H20_TABLE,
    name="h20",
    title="NVIDIA H20",
    chip=GH100_H20,
    year=2023,
    form="SXM",
    cores=78,
    clock_hz=clock(148, 78, 512, H20_TABLE, "assumed"),
    vector_clock_hz=clock(44, 78, 128, H20_TABLE),
    memory_bytes=96 * GiB,
    memory_bytes_per_s=4000 * GB,
    memory_type="HBM3",
    l2_bytes=assumed(60 * MiB, "from memory"),
    l2_bytes_per_s=_l2_rate(78, 1830e6),
    host="5.0 x16",
    tdp_w=assumed(400, "from memory"),
    printed=tera(fp32=44, tf32=74, bf16=148, fp16=148, fp8=296, int8=296),
    link=_NVLINK,
    capability=(9, 0),
    notes=("the printed 44 TFLOP/s of FP32 needs 2.2 GHz, above the H100's 1.98 GHz",),
)

GH200 = replace(
    H100,
    name="gh200",
    title="NVIDIA GH200 96 GB",
    year=2023,
    form="superchip",
    memory_bytes=published(96 * GiB, GH200_SHEET),
    memory_bytes_per_s=published(4000 * GB, GH200_SHEET),
    host_bytes_per_s=published(450 * GB, GH200_SHEET + ": NVLink-C2C 900 GB/s both ways"),
    aliases=("grace hopper",),
    notes=(_FP64, "the GPU's share of the module's 1000 W is taken to equal the H100's"),
    tdp_w=assumed(700, "the module prints 450 to 1000 W with its CPU; the H100's 700 W taken"),
)

CARDS: tuple[Card, ...] = (
    H100,
    H100_96,
    H100_PCIE,
    H100_NVL,
    H800,
    H200,
    H200_NVL,
    H20,
    GH200,
)
