"""Intel: Arc Pro B60, Data Center GPU Max 1550, Xeon Phi 7250. Gaudi is in `gaudi.py`."""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, link, tera
from suiren.hw.fact import assumed
from suiren.hw.spec import Card
from suiren.units import GB, GHz, GiB, KiB, MiB

ARC = "intel.com Arc Pro B60 specification, 2025"
PVC = "intel.com Data Center GPU Max 1550 specification, 2023"
KNL = "intel.com ARK, Xeon Phi 7250, 2016"

XE2 = chip(
    source=ARC,
    name="bmg-g21",
    title="BMG-G21 (Battlemage)",
    vendor="Intel",
    family="xe",
    year=2025,
    core_name="Xe core",
    matrix={"bf16": 1024, "fp16": 1024, "int8": 2048},
    vector={"fp32": 128, "fp16": 256},
    special_per_cycle=assumed(32, "a quarter of the FP32 lanes"),
    tile_mnk=(8, 16, 16),
    scratchpad_bytes=assumed(256 * KiB, "L1 with shared memory, from memory"),
    register_bytes=assumed(512 * KiB, "8 vector engines × 64 KiB"),
    process_nm=5,
)
XE_HPC = chip(
    source=PVC,
    name="ponte-vecchio",
    title="Ponte Vecchio",
    vendor="Intel",
    family="xe",
    year=2023,
    core_name="Xe core",
    matrix={"tf32": 1024, "bf16": 2048, "fp16": 2048, "int8": 4096},
    vector={"fp64": 128, "fp32": 128, "fp16": 256},
    special_per_cycle=assumed(32, "a quarter of the FP32 lanes"),
    tile_mnk=(8, 16, 16),
    scratchpad_bytes=512 * KiB,
    register_bytes=assumed(512 * KiB, "8 vector engines × 64 KiB"),
)
KNIGHTS_LANDING = chip(
    source=KNL,
    name="knl",
    title="Knights Landing",
    vendor="Intel",
    family="knl",
    year=2016,
    core_name="core",
    matrix={},
    vector={"fp64": 16, "fp32": 32},
    special_per_cycle=assumed(8, "AVX-512 ER; a quarter of the FP32 lanes"),
    tile_mnk=(1, 1, 1),
    scratchpad_bytes=32 * KiB,
    register_bytes=assumed(8 * KiB, "32 registers of 512 bits for each of 4 threads"),
    process_nm=14,
)

CARDS: tuple[Card, ...] = (
    card(
        source=ARC,
        name="arc-pro-b60",
        title="Intel Arc Pro B60",
        chip=XE2,
        year=2025,
        form="PCIe",
        use="infer",
        cores=20,
        clock_hz=2.4 * GHz,
        memory_bytes=24 * GiB,
        memory_bytes_per_s=456 * GB,
        memory_type="GDDR6",
        l2_bytes=assumed(18 * MiB, "from memory, as the Arc B580"),
        host="5.0 x8",
        tdp_w=200,
        printed=tera(fp32=12.28, int8=197),
        aliases=("arc b60", "b60", "0xe211"),
        notes=("a driver that lacks its name shows the PCI id 0xe211",),
    ),
    card(
        source=PVC,
        name="max-1550",
        title="Intel Data Center GPU Max 1550",
        chip=XE_HPC,
        year=2023,
        form="OAM",
        cores=128,
        clock_hz=1.6 * GHz,
        memory_bytes=128 * GiB,
        memory_bytes_per_s=3276.8 * GB,
        memory_type="HBM2e",
        l2_bytes=408 * MiB,
        host="5.0 x16",
        tdp_w=600,
        printed=tera(fp64=52.4, fp32=52.4, tf32=419, bf16=839, fp16=839, int8=1678),
        link=link("Xe Link", 16, assumed(850, "16 × 26.5 GB/s each way, from memory"), PVC),
        aliases=("ponte vecchio", "pvc"),
    ),
    card(
        source=KNL,
        name="knl7250",
        title="Intel Xeon Phi 7250",
        chip=KNIGHTS_LANDING,
        year=2016,
        form="socket",
        cores=68,
        clock_hz=1.4 * GHz,
        memory_bytes=16 * GiB,
        memory_bytes_per_s=assumed(450 * GB, "MCDRAM's STREAM rate; Intel prints 400 and more"),
        memory_type="MCDRAM",
        l2_bytes=34 * MiB,
        host="3.0 x16",
        tdp_w=215,
        aliases=("xeon phi 7250",),
    ),
)
