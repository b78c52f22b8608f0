"""An invented card with round numbers, so that a test can do the sums in its head."""

from __future__ import annotations

from suiren.hw.catalog.build import card, chip, link, tera
from suiren.hw.fact import assumed
from suiren.hw.spec import Card
from suiren.units import GB, TB, GHz, GiB, KiB, MiB, us

_WHY = "invented"

TOY_CHIP = chip(
    source=_WHY,
    name="toy",
    title="Toy chip",
    vendor="Suiren",
    family="toy",
    year=2024,
    core_name="core",
    matrix={"tf32": 512, "fp32": 256, "bf16": 1024, "fp16": 1024, "int8": 2048},
    vector={"fp32": 64, "bf16": 128, "fp16": 128},
    special_per_cycle=16,
    tile_mnk=(16, 16, 16),
    scratchpad_bytes=256 * KiB,
    register_bytes=64 * KiB,
    lacks=frozenset({"i64", "f64"}),
    core_groups=4,
)

CARDS: tuple[Card, ...] = (
    card(
        source=_WHY,
        name="toy",
        title="Toy card",
        chip=TOY_CHIP,
        year=2024,
        form="PCIe",
        cores=16,
        clock_hz=1 * GHz,
        memory_bytes=16 * GiB,
        memory_bytes_per_s=1 * TB,
        memory_type="HBM",
        l2_bytes=16 * MiB,
        l2_bytes_per_s=4 * TB,
        host_bytes_per_s=16 * GB,
        tdp_w=100,
        idle_w=20,
        launch_s=2 * us,
        host_issue_s=5 * us,
        matrix_efficiency=assumed(1.0, _WHY),
        memory_efficiency=assumed(1.0, _WHY),
        memory_latency_s=1 * us,
        printed=tera(fp32=8.192, tf32=16.384, bf16=32.768, fp16=32.768, int8=65.536),
        link=link("ToyLink", 4, 200, _WHY),
    ),
)
