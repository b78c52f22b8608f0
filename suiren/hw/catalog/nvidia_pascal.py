"""NVIDIA datacentre and desktop cards before tensor cores: Maxwell and Pascal.

Boost clocks are the datasheet's or solved from its FP32 peak. A peak that the datasheet
rounds by more than 1 % (5.5 for 5.44 TFLOP/s) is not repeated as printed.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, link, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import assumed, published
from suiren.hw.spec import Card
from suiren.units import GB, GHz, GiB, KiB, MHz, MiB

P100_PAPER = "NVIDIA Tesla P100 whitepaper, 2016, table 1"
P4_SHEET = "NVIDIA Tesla P4 datasheet, 2016"
P40_SHEET = "NVIDIA Tesla P40 datasheet, 2016"
M40_SHEET = "NVIDIA Tesla M40 datasheet, 2015"
JIA_T4 = "Jia et al., Dissecting the NVIDIA Turing T4 GPU, 2019, arXiv:1903.07486, L2 table"
_L2_RECALLED = "recalled from " + JIA_T4

GM200 = sm(
    M40_SHEET,
    "gm200",
    "GM200",
    "maxwell",
    2015,
    matrix={},
    vector={"fp32": 128, "fp64": 4},
    l1_kib=96,
    gpcs=6,
    process_nm=28,
    special=32,
)
GP100 = sm(
    P100_PAPER,
    "gp100",
    "GP100",
    "pascal",
    2016,
    matrix={},
    vector={"fp64": 32, "fp32": 64, "fp16": 128},
    l1_kib=64,
    gpcs=6,
    process_nm=16,
)
GP102 = sm(
    "NVIDIA GeForce GTX 1080 whitepaper, 2016",
    "gp102",
    "GP102",
    "pascal",
    2016,
    matrix={},
    vector={"fp64": 4, "fp32": 128, "fp16": 2, "int8": 512},
    l1_kib=96,
    gpcs=6,
    process_nm=16,
    special=32,
)
GP104 = replace(GP102, name="gp104", title="GP104", core_groups=published(4, P4_SHEET))

P100 = card(
    source=P100_PAPER,
    name="p100",
    title="NVIDIA Tesla P100 PCIe 16 GB",
    chip=GP100,
    year=2016,
    form="PCIe",
    cores=56,
    clock_hz=1303 * MHz,
    memory_bytes=16 * GiB,
    memory_bytes_per_s=732 * GB,
    memory_type="HBM2",
    l2_bytes=4096 * KiB,
    l2_bytes_per_s=assumed(1624 * GB, _L2_RECALLED),
    host="3.0 x16",
    tdp_w=250,
    printed=tera(fp64=4.7, fp32=9.3, fp16=18.7),
    aliases=("p100-pcie",),
    capability=(6, 0),
)

P100_SXM2 = replace(
    P100,
    name="p100-sxm2",
    title="NVIDIA Tesla P100 SXM2 16 GB",
    form="SXM",
    clock_hz=published(1480 * MHz, P100_PAPER),
    tdp_w=published(300, P100_PAPER),
    idle_w=assumed(45, "unpublished; 15 % of the TDP, as datacentre cards draw when idle"),
    printed_flop_per_s={
        "fp64": published(5.3e12, P100_PAPER),
        "fp32": published(10.6e12, P100_PAPER),
        "fp16": published(21.2e12, P100_PAPER),
    },
    link=link("NVLink 1", 4, 160, P100_PAPER),
    aliases=("p100-sxm2-16gb",),
)

P4 = card(
    source=P4_SHEET,
    name="p4",
    title="NVIDIA Tesla P4",
    chip=GP104,
    year=2016,
    form="PCIe",
    use="infer",
    cores=20,
    clock_hz=1063 * MHz,
    memory_bytes=8 * GiB,
    memory_bytes_per_s=192 * GB,
    memory_type="GDDR5",
    l2_bytes=2 * MiB,
    l2_bytes_per_s=assumed(979 * GB, _L2_RECALLED),
    host="3.0 x16",
    tdp_w=75,
    capability=(6, 1),
    notes=("the datasheet rounds FP32 to 5.5 TFLOP/s and INT8 to 22 TOP/s",),
)

P40 = card(
    source=P40_SHEET,
    name="p40",
    title="NVIDIA Tesla P40",
    chip=GP102,
    year=2016,
    form="PCIe",
    use="infer",
    cores=30,
    clock_hz=1531 * MHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=346 * GB,
    memory_type="GDDR5",
    l2_bytes=3 * MiB,
    host="3.0 x16",
    tdp_w=250,
    printed=tera(int8=47),
    capability=(6, 1),
    notes=("the datasheet rounds FP32 to 12 TFLOP/s",),
)

M40 = card(
    source=M40_SHEET,
    name="m40",
    title="NVIDIA Tesla M40",
    chip=GM200,
    year=2015,
    form="PCIe",
    cores=24,
    clock_hz=assumed(1.114 * GHz, "boost clock from memory; the sheet's 7 TFLOP/s is rounded"),
    memory_bytes=12 * GiB,
    memory_bytes_per_s=288 * GB,
    memory_type="GDDR5",
    l2_bytes=3 * MiB,
    host="3.0 x16",
    tdp_w=250,
    capability=(5, 2),
)

CARDS: tuple[Card, ...] = (M40, P100, P100_SXM2, P4, P40)
