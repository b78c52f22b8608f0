"""NVIDIA's first cards with tensor cores: Volta V100 and Turing T4."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, link, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import assumed, published
from suiren.hw.spec import Card
from suiren.units import GB, GiB, KiB, MHz, MiB

VOLTA = "NVIDIA Tesla V100 whitepaper, 2017, tables 1 and 2"
V100_SHEET = "NVIDIA V100 datasheet, 2018"
TURING = "NVIDIA Turing whitepaper, 2018"
T4_SHEET = "NVIDIA T4 datasheet, 2018"
JIA_VOLTA = "Jia et al., Dissecting the NVIDIA Volta GPU Architecture, 2018, arXiv:1804.06826"
JIA_T4 = "Jia et al., Dissecting the NVIDIA Turing T4 GPU, 2019, arXiv:1903.07486"
ML_ENG = "stas00/ml-engineering@744d01e compute/accelerator/README.md"

GV100 = sm(
    VOLTA,
    "gv100",
    "GV100",
    "volta",
    2017,
    matrix={"fp16": 512},
    vector={"fp64": 32, "fp32": 64, "fp16": 128, "int8": 256},
    l1_kib=128,
    gpcs=6,
    process_nm=12,
)
TU102 = sm(
    TURING,
    "tu102",
    "TU102",
    "turing",
    2018,
    matrix={"fp16": 512, "int8": 1024},
    vector={"fp64": 2, "fp32": 64, "fp16": 128},
    l1_kib=96,
    gpcs=6,
    process_nm=12,
)
TU104 = replace(TU102, name="tu104", title="TU104")

V100 = card(
    source=ML_ENG,
    name="v100",
    title="NVIDIA V100 SXM2 32 GB",
    chip=GV100,
    year=2017,
    form="SXM",
    cores=80,
    clock_hz=published(1530 * MHz, VOLTA),
    memory_bytes=published(32 * GiB, V100_SHEET),
    memory_bytes_per_s=900 * GB,
    memory_type="HBM2",
    l2_bytes=published(6144 * KiB, VOLTA),
    l2_bytes_per_s=assumed(2155 * GB, "recalled from the L2 table of " + JIA_VOLTA),
    host="3.0 x16",
    tdp_w=300,
    printed=tera(fp64=published(7.8, V100_SHEET), fp32=published(15.7, V100_SHEET), fp16=125),
    link=link("NVLink 2", 6, 300, ML_ENG),
    aliases=("v100-sxm2-32gb",),
    capability=(7, 0),
)

V100_16 = replace(
    V100,
    name="v100-16",
    title="NVIDIA V100 SXM2 16 GB",
    memory_bytes=published(16 * GiB, V100_SHEET),
    aliases=("v100-sxm2-16gb",),
)

V100_PCIE = replace(
    V100,
    name="v100-pcie",
    title="NVIDIA V100 PCIe 32 GB",
    form="PCIe",
    clock_hz=published(1380 * MHz, "NVIDIA V100 PCIe product brief, 2018: boost clock"),
    tdp_w=published(250, V100_SHEET),
    idle_w=assumed(37.5, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    printed_flop_per_s={
        "fp64": published(7e12, V100_SHEET),
        "fp32": published(14e12, V100_SHEET),
        "fp16": published(112e12, V100_SHEET),
    },
    link=None,
    aliases=("v100-pcie-32gb",),
)

V100_PCIE_16 = replace(
    V100_PCIE,
    name="v100-pcie-16",
    title="NVIDIA V100 PCIe 16 GB",
    memory_bytes=published(16 * GiB, V100_SHEET),
    aliases=("v100-pcie-16gb",),
)

T4 = card(
    source=T4_SHEET,
    name="t4",
    title="NVIDIA T4",
    chip=TU104,
    year=2018,
    form="PCIe",
    use="infer",
    cores=40,
    clock_hz=published(1590 * MHz, TURING),
    memory_bytes=16 * GiB,
    memory_bytes_per_s=320 * GB,
    memory_type="GDDR6",
    l2_bytes=4 * MiB,
    l2_bytes_per_s=assumed(1270 * GB, "recalled from the L2 table of " + JIA_T4),
    host="3.0 x16",
    tdp_w=70,
    printed=tera(fp32=8.1, fp16=65, int8=130),
    capability=(7, 5),
)

CARDS: tuple[Card, ...] = (V100, V100_16, V100_PCIE, V100_PCIE_16, T4)
