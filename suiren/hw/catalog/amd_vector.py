"""AMD cards without matrix cores in earnest: Vega, and the Radeons RX 6900 XT and RX 7900 XTX."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.amd_chip import (
    MI50_SHEET,
    NAVI_21,
    NAVI_31,
    RDNA2,
    RDNA3,
    VEGA_10,
    VEGA_20,
)
from suiren.hw.catalog.build import card, link, tera
from suiren.hw.fact import fitted, published
from suiren.hw.spec import Card
from suiren.units import GB, GHz, GiB, MHz, MiB

BENCH = "te42kyfo/gpu-benches@1c36d50 gpu-l2-cache, "

MI25 = card(
    source="AMD Radeon Instinct MI25 datasheet, 2017",
    name="mi25",
    title="AMD Radeon Instinct MI25",
    chip=VEGA_10,
    year=2017,
    form="PCIe",
    cores=64,
    clock_hz=1500 * MHz,
    memory_bytes=16 * GiB,
    memory_bytes_per_s=484 * GB,
    memory_type="HBM2",
    l2_bytes=4 * MiB,
    host="3.0 x16",
    tdp_w=300,
    printed=tera(fp32=12.3, fp16=24.6),
    aliases=("instinct mi25",),
)
VEGA_FE = replace(
    MI25,
    name="vega-fe",
    title="AMD Radeon Vega Frontier Edition",
    clock_hz=published(1600 * MHz, "AMD Radeon Vega Frontier Edition page, 2017: peak clock"),
    memory_bytes_per_s=published(483 * GB, "AMD Radeon Vega Frontier Edition page, 2017"),
    printed_flop_per_s={
        "fp32": published(13.1e12, "AMD Radeon Vega Frontier Edition page, 2017"),
        "fp16": published(26.2e12, "AMD Radeon Vega Frontier Edition page, 2017"),
    },
    aliases=("vegafe", "vega frontier"),
)
MI60 = card(
    source=MI50_SHEET,
    name="mi60",
    title="AMD Radeon Instinct MI60",
    chip=VEGA_20,
    year=2018,
    form="PCIe",
    cores=64,
    clock_hz=1800 * MHz,
    memory_bytes=32 * GiB,
    memory_bytes_per_s=1024 * GB,
    memory_type="HBM2",
    l2_bytes=4 * MiB,
    host="4.0 x16",
    tdp_w=300,
    printed=tera(fp64=7.4, fp32=14.7, fp16=29.5, int8=58.9),
    link=link("Infinity Fabric", 2, 200, MI50_SHEET),
)
MI50 = replace(
    MI60,
    name="mi50",
    title="AMD Radeon Instinct MI50",
    cores=published(60, MI50_SHEET),
    clock_hz=published(1725 * MHz, MI50_SHEET),
    memory_bytes=published(16 * GiB, MI50_SHEET),
    printed_flop_per_s={
        "fp64": published(6.6e12, MI50_SHEET),
        "fp32": published(13.3e12, MI50_SHEET),
        "fp16": published(26.5e12, MI50_SHEET),
    },
)
RX_6900_XT = card(
    source=RDNA2,
    name="rx-6900-xt",
    title="AMD Radeon RX 6900 XT",
    chip=NAVI_21,
    year=2020,
    form="PCIe",
    cores=80,
    clock_hz=2.25 * GHz,
    memory_bytes=16 * GiB,
    memory_bytes_per_s=512 * GB,
    memory_type="GDDR6",
    l2_bytes=128 * MiB,
    l2_bytes_per_s=fitted(1930 * GB, BENCH + "RX 6900 XT: 1902 to 1999 GB/s, 17 to 110 MB"),
    host="4.0 x16",
    tdp_w=300,
    printed=tera(fp32=23.04, fp16=46.08),
    aliases=("rx6900xt",),
)
RX_7900_XTX = card(
    source=RDNA3,
    name="rx-7900-xtx",
    title="AMD Radeon RX 7900 XTX",
    chip=NAVI_31,
    year=2022,
    form="PCIe",
    cores=96,
    clock_hz=2.5 * GHz,
    memory_bytes=24 * GiB,
    memory_bytes_per_s=960 * GB,
    memory_type="GDDR6",
    l2_bytes=96 * MiB,
    host="4.0 x16",
    tdp_w=355,
    printed=tera(fp32=61.4, bf16=122.9, fp16=122.9),
    aliases=("rx7900xtx", "7900xtx"),
)

CARDS: tuple[Card, ...] = (MI25, VEGA_FE, MI50, MI60, RX_6900_XT, RX_7900_XTX)
