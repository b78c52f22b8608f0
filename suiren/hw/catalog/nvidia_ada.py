"""NVIDIA datacentre cards with Ada: L4, L40, L40S."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, macs, tera
from suiren.hw.catalog.sm import sm
from suiren.hw.fact import derived
from suiren.hw.spec import Card, Conflict
from suiren.units import GB, GHz, GiB, MiB

PAPER = "NVIDIA Ada GPU architecture whitepaper, 2022"
_L40 = "NVIDIA L40 datasheet, 2022"
_L40S = "NVIDIA L40S datasheet, 2023"

AD102 = sm(
    PAPER,
    "ad102",
    "AD102",
    "ada",
    2022,
    matrix={"tf32": 256, "bf16": 512, "fp16": 512, "fp8": 1024, "int8": 1024},
    vector={"fp64": 2, "fp32": 128, "bf16": 128, "fp16": 128},
    l1_kib=128,
    gpcs=12,
    process_nm=4,
)
AD104 = replace(AD102, name="ad104", title="AD104", core_groups=None)
AD102_L40 = replace(
    AD102,
    name="ad102-l40",
    title="AD102 (L40 bin)",
    matrix={
        "tf32": macs(90.5, 142, 2.49e9, _L40),
        "bf16": macs(181.05, 142, 2.49e9, _L40),
        "fp16": macs(181.05, 142, 2.49e9, _L40),
        "fp8": macs(362, 142, 2.49e9, _L40),
        "int8": macs(362, 142, 2.49e9, _L40),
    },
)

_HALF = derived(366.5, _L40S + ": 733 TFLOP/s with sparsity / 2")
_FULL = derived(733, _L40S + ": 1466 TFLOP/s with sparsity / 2")

CARDS: tuple[Card, ...] = (
    card(
        source="NVIDIA L4 datasheet, 2023: peaks with sparsity / 2",
        name="l4",
        title="NVIDIA L4",
        chip=AD104,
        year=2023,
        form="PCIe",
        use="infer",
        cores=58,
        clock_hz=2.04 * GHz,
        memory_bytes=24 * GiB,
        memory_bytes_per_s=300 * GB,
        memory_type="GDDR6",
        l2_bytes=48 * MiB,
        host="4.0 x16",
        tdp_w=72,
        printed=tera(fp32=30.3, tf32=60, bf16=121, fp16=121, fp8=242.5, int8=242.5),
        capability=(8, 9),
    ),
    card(
        source=_L40,
        name="l40",
        title="NVIDIA L40",
        chip=AD102_L40,
        year=2022,
        form="PCIe",
        cores=142,
        clock_hz=2.49 * GHz,
        memory_bytes=48 * GiB,
        memory_bytes_per_s=864 * GB,
        memory_type="GDDR6",
        l2_bytes=96 * MiB,
        host="4.0 x16",
        tdp_w=300,
        printed=tera(fp32=90.5, tf32=90.5, bf16=181.05, fp16=181.05, fp8=362, int8=362),
        capability=(8, 9),
    ),
    card(
        source=_L40S,
        name="l40s",
        title="NVIDIA L40S",
        chip=AD102,
        year=2023,
        form="PCIe",
        cores=142,
        clock_hz=2.52 * GHz,
        memory_bytes=48 * GiB,
        memory_bytes_per_s=864 * GB,
        memory_type="GDDR6",
        l2_bytes=96 * MiB,
        host="4.0 x16",
        tdp_w=350,
        printed=tera(fp32=91.6, tf32=183, bf16=_HALF, fp16=_HALF, fp8=_FULL, int8=_FULL),
        capability=(8, 9),
        conflicts=(
            Conflict(
                field="printed_flop_per_s.bf16",
                versions=(
                    f"362.05 T dense ({_L40S})",
                    f"733 T with sparsity, so 366.5 dense ({_L40S})",
                ),
                used="366.5 T: equals 512 MACs per SM at the clock of the FP32 peak",
            ),
        ),
    ),
)
