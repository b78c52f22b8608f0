"""Amazon Trainium. A core is a NeuronCore with a 128 × 128 systolic array."""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, clock, link, macs, tera
from suiren.hw.fact import assumed, published
from suiren.hw.spec import Card
from suiren.units import GB, GiB, MiB

DOCS = "awsdocs-neuron.readthedocs-hosted.com, architecture pages of the NeuronCores"
TRN2 = DOCS + ", Trainium2"
TRN3 = DOCS + ", Trainium3"
_POWER = "unpublished; "
_NO_L2 = assumed(0, "no cache between SBUF and HBM")
_VECTOR = assumed(128, "128 partitions, one lane each, on the vector and scalar engines")

TRAINIUM_1 = chip(
    source=DOCS,
    name="trainium1",
    title="Trainium",
    vendor="Amazon",
    family="trainium",
    year=2020,
    core_name="NeuronCore-v2",
    matrix={
        "fp32": 4096,
        "tf32": 16384,
        "bf16": 16384,
        "fp16": 16384,
        "fp8": 16384,
        "int8": 32768,
    },
    vector={"fp32": _VECTOR},
    special_per_cycle=assumed(128, "one a partition and cycle on the scalar engine"),
    tile_mnk=(128, 128, 128),
    scratchpad_bytes=24 * MiB,
    register_bytes=2 * MiB,
    lacks=frozenset({"i64", "f64"}),
)
_CLOCK_2 = 2.4e9
TRAINIUM_2 = chip(
    source=TRN2,
    name="trainium2",
    title="Trainium2",
    vendor="Amazon",
    family="trainium",
    year=2024,
    core_name="NeuronCore-v3",
    matrix={
        "fp32": macs(181, 8, _CLOCK_2, TRN2, "assumed"),
        "tf32": macs(667, 8, _CLOCK_2, TRN2, "assumed"),
        "bf16": macs(667, 8, _CLOCK_2, TRN2, "assumed"),
        "fp16": macs(667, 8, _CLOCK_2, TRN2, "assumed"),
        "fp8": macs(1299, 8, _CLOCK_2, TRN2, "assumed"),
    },
    vector={"fp32": _VECTOR},
    special_per_cycle=assumed(128, "one a partition and cycle on the scalar engine"),
    tile_mnk=(128, 128, 128),
    scratchpad_bytes=28 * MiB,
    register_bytes=2 * MiB,
    lacks=frozenset({"i64", "f64"}),
)
TRAINIUM_3 = chip(
    source=TRN3,
    name="trainium3",
    title="Trainium3",
    vendor="Amazon",
    family="trainium",
    year=2025,
    core_name="NeuronCore-v4",
    matrix={
        "fp32": macs(183, 8, _CLOCK_2, TRN3, "assumed"),
        "bf16": macs(671, 8, _CLOCK_2, TRN3, "assumed"),
        "fp16": macs(671, 8, _CLOCK_2, TRN3, "assumed"),
        "fp8": macs(2517, 8, _CLOCK_2, TRN3, "assumed"),
    },
    vector={"fp32": _VECTOR},
    special_per_cycle=assumed(128, "one a partition and cycle on the scalar engine"),
    tile_mnk=(128, 128, 128),
    scratchpad_bytes=32 * MiB,
    register_bytes=2 * MiB,
    lacks=frozenset({"i64", "f64"}),
    process_nm=3,
)
_CLOCK_WHY = "unpublished; MACs are solved from the peak at this clock"

CARDS: tuple[Card, ...] = (
    card(
        source=DOCS,
        name="trainium1",
        title="AWS Trainium",
        chip=TRAINIUM_1,
        year=2020,
        form="board",
        use="train",
        cores=2,
        clock_hz=clock(190, 2, 16384, DOCS),
        memory_bytes=32 * GiB,
        memory_bytes_per_s=820 * GB,
        memory_type="HBM",
        l2_bytes=_NO_L2,
        tdp_w=assumed(250, _POWER + "between the TPU v4 and the A100 PCIe"),
        printed=tera(fp32=47.5, tf32=190, bf16=190, fp16=190, int8=380),
        link=link("NeuronLink-v2", 4, 384, DOCS),
        aliases=("trainium", "trn1"),
    ),
    card(
        source=TRN2,
        name="trainium2",
        title="AWS Trainium2",
        chip=TRAINIUM_2,
        year=2024,
        form="board",
        cores=8,
        clock_hz=assumed(_CLOCK_2, _CLOCK_WHY),
        memory_bytes=96 * GiB,
        memory_bytes_per_s=2900 * GB,
        memory_type="HBM3",
        l2_bytes=_NO_L2,
        host="5.0 x16",
        tdp_w=assumed(500, _POWER + "press reports of 500 W"),
        printed=tera(fp32=181, bf16=667, fp16=667, fp8=1299),
        link=link("NeuronLink-v3", 4, 1280, TRN2),
        aliases=("trn2",),
    ),
    card(
        source=TRN3,
        name="trainium3",
        title="AWS Trainium3",
        chip=TRAINIUM_3,
        year=2025,
        form="board",
        cores=8,
        clock_hz=assumed(_CLOCK_2, _CLOCK_WHY),
        memory_bytes=published(144 * GiB, TRN3),
        memory_bytes_per_s=4900 * GB,
        memory_type="HBM3e",
        l2_bytes=_NO_L2,
        host="5.0 x16",
        tdp_w=assumed(1000, _POWER + "twice the Trainium2's"),
        printed=tera(fp32=183, bf16=671, fp16=671, fp8=2517),
        link=link("NeuronLink-v4", 4, 2560, TRN3),
        aliases=("trn3",),
    ),
)
