"""Enflame's DTU training chips: 邃思 1.0 (T10, T11, i10), 邃思 2.0 (T20, T21) and kin (i20).

What Enflame never published (the size of the shared memory, MAC counts and clock of
DTU 2.0) is assumed here with its reasoning. Later chips are in `dtu_later.py`.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.build import card, clock, link, tera
from suiren.hw.catalog.dtu_chip import (
    DTU_1,
    DTU_2,
    DTU_2_DORADO,
    EXPORTER,
    HC33,
    I20_LAUNCH,
    LAUNCH,
    TOPSGRAPH,
    UBRIDGE,
    ZOMI,
)
from suiren.hw.catalog.dtu_conflicts import (
    DTU_1_CONFLICTS,
    I10_INT8,
    LARE_CONFLICTS,
    SIXTEEN_BIT,
    T10_CLOCK,
    T10_MEMORY,
    T10_POWER,
    T20_CORES,
    T20_MEMORY,
    T20_PEAK,
    T21_PEAK,
)
from suiren.hw.fact import Fact, assumed, published
from suiren.hw.spec import Card
from suiren.units import GB, TB, GiB, MiB

#: Bytes a DTU core takes from the shared memory in a cycle: 10 TB/s / (32 × 1.22 GHz).
_SHARED_BYTES_PER_CYCLE = 256


def _shared_rate(cores: int, clock_hz: float) -> Fact:
    return assumed(
        _SHARED_BYTES_PER_CYCLE * cores * clock_hz,
        "unpublished; 256 B per SIP and cycle as DTU 1.0's 10 TB/s (icloudnews.net/a/47000.html)",
    )


_LARE_1 = link("GCU-LARE 1.0", 4, 200, HC33)
_LARE_2 = link("GCU-LARE 2.0", 6, 300, LAUNCH)
_L2_DTU1 = assumed(16 * MiB, "unpublished; 4 MiB for each of 4 clusters taken")
_L2_DTU2 = assumed(32 * MiB, "unpublished; 8 MiB for each of 4 clusters taken, see i20")
_L2_RATE_DTU1 = published(10 * TB, "icloudnews.net/a/47000.html: distributed shared memory")
_IDLE_T10 = published(56, EXPORTER + ": sample output of a T10")
_IDLE_WHY = "unpublished; a quarter of the TDP, as the T10's 56 of 225 W"

T10 = card(
    source=HC33,
    name="t10",
    capability=(11, 0),
    title="Enflame CloudBlazer T10",
    chip=DTU_1,
    year=2019,
    form="PCIe",
    use="train",
    cores=32,
    clock_hz=clock(20, 32, 256, HC33),
    memory_bytes=published(17_179_869_184, EXPORTER),
    memory_bytes_per_s=512 * GB,
    memory_type="HBM2",
    l2_bytes=_L2_DTU1,
    l2_bytes_per_s=_L2_RATE_DTU1,
    host="4.0 x16",
    tdp_w=published(225, EXPORTER + ": power cap"),
    idle_w=_IDLE_T10,
    printed=tera(fp32=20, bf16=80, fp16=80),
    link=_LARE_1,
    aliases=("cloudblazer t10", "enflame t10", "dtu 1.0", "邃思1.0", "云燧t10"),
    conflicts=(T10_POWER, T10_MEMORY, T10_CLOCK, *DTU_1_CONFLICTS),
)

T11 = replace(
    T10,
    name="t11",
    title="Enflame CloudBlazer T11",
    form="OAM",
    tdp_w=assumed(300, "no T11 table found; the 300 W that " + HC33 + " prints taken"),
    idle_w=assumed(75, _IDLE_WHY),
    aliases=("cloudblazer t11", "enflame t11", "云燧t11"),
    conflicts=(T10_CLOCK, *DTU_1_CONFLICTS),
    notes=("no table of the T11 was found: the chip's numbers stand here",),
)

I10 = card(
    source=ZOMI,
    name="i10",
    title="Enflame CloudBlazer i10",
    chip=DTU_1,
    year=2020,
    form="PCIe",
    use="infer",
    cores=published(32, HC33),
    clock_hz=clock(17.6, 32, 256, ZOMI),
    memory_bytes=16 * GiB,
    memory_bytes_per_s=512 * GB,
    memory_type="HBM2",
    l2_bytes=_L2_DTU1,
    l2_bytes_per_s=assumed(8.8 * TB, "DTU 1.0's 10 TB/s × 1.074 / 1.221 GHz"),
    host="4.0 x16",
    tdp_w=150,
    idle_w=assumed(37.5, _IDLE_WHY),
    printed=tera(fp32=17.6, bf16=70.4, fp16=70.4),
    aliases=("cloudblazer i10", "enflame i10", "云燧i10"),
    conflicts=(I10_INT8,),
)

T20 = card(
    source=ZOMI,
    name="t20",
    capability=(12, 0),
    title="Enflame CloudBlazer T20",
    chip=DTU_2,
    year=2021,
    form="PCIe",
    use="train",
    cores=published(24, TOPSGRAPH),
    clock_hz=clock(32, 24, 512, ZOMI, "assumed"),
    memory_bytes=32 * GiB,
    memory_bytes_per_s=1600 * GB,
    memory_type="HBM2E",
    l2_bytes=_L2_DTU2,
    l2_bytes_per_s=_shared_rate(24, 1.302e9),
    host="4.0 x16",
    tdp_w=300,
    idle_w=assumed(75, _IDLE_WHY),
    printed=tera(fp32=32, tf32=128, bf16=128, fp16=128, int8=256),
    link=_LARE_2,
    aliases=("cloudblazer t20", "enflame t20", "云燧t20"),
    conflicts=(T20_PEAK, T20_MEMORY, SIXTEEN_BIT, T20_CORES, *LARE_CONFLICTS),
)

T20_LAUNCH = replace(
    T20,
    name="t20-launch",
    title="Enflame CloudBlazer T20 as announced",
    form="chip",
    clock_hz=clock(40, 24, 512, LAUNCH, "assumed"),
    memory_bytes=published(64 * GiB, LAUNCH + ': "up to 64 GB"'),
    memory_bytes_per_s=published(1800 * GB, LAUNCH),
    l2_bytes_per_s=_shared_rate(24, 1.628e9),
    tdp_w=assumed(400, "not in the announcement; the T21's 400 W taken"),
    idle_w=assumed(100, _IDLE_WHY),
    printed_flop_per_s={
        "fp32": published(40e12, LAUNCH),
        "tf32": published(160e12, LAUNCH),
        "bf16": published(160e12, "third-party list citing eefocus 498969"),
        "fp16": published(160e12, "third-party list citing eefocus 498969"),
        "int8": published(320e12, LAUNCH),
    },
    aliases=("t20 launch", "dtu 2.0", "邃思2.0"),
)

T21 = replace(
    T20_LAUNCH,
    name="t21",
    title="Enflame CloudBlazer T21",
    form="OAM",
    memory_bytes=published(32 * GiB, ZOMI),
    memory_bytes_per_s=published(1600 * GB, ZOMI),
    tdp_w=published(400, ZOMI),
    aliases=("cloudblazer t21", "enflame t21", "云燧t21"),
    conflicts=(T21_PEAK, T20_MEMORY, SIXTEEN_BIT, T20_CORES, *LARE_CONFLICTS),
)

I20 = replace(
    T20,
    name="i20",
    title="Enflame CloudBlazer i20",
    chip=DTU_2_DORADO,
    use="infer",
    cores=published(24, UBRIDGE),
    clock_hz=clock(32, 24, 512, I20_LAUNCH, "assumed"),
    memory_bytes=published(16 * GiB, I20_LAUNCH),
    memory_bytes_per_s=published(819 * GB, I20_LAUNCH),
    l2_bytes=assumed(48 * MiB, "unchecked: 6 × 8 MB remembered from doi 10.1109/HPCA56546.2023"),
    tdp_w=published(150, ZOMI),
    idle_w=assumed(37.5, _IDLE_WHY),
    printed_flop_per_s={
        name: published(float(peak), I20_LAUNCH) for name, peak in T20.printed_flop_per_s.items()
    },
    link=None,
    aliases=("cloudblazer i20", "enflame i20", "云燧i20"),
    conflicts=(SIXTEEN_BIT,),
)

CARDS: tuple[Card, ...] = (T10, T11, T20, T20_LAUNCH, T21, I10, I20)
