"""Google TPUs. A core is a TensorCore; its matrix engine is two or four 128 × 128 arrays."""

from __future__ import annotations

from collections.abc import Mapping

from suiren.hw.catalog.build import card, chip, clock, link, macs, tera
from suiren.hw.fact import assumed, derived, published
from suiren.hw.spec import Card, Chip, Conflict
from suiren.units import GB, GHz, GiB, MHz, MiB

CACM = "Jouppi et al., A Domain-Specific Supercomputer for Training DNNs, CACM 2020"
V4I = "Jouppi et al., TPU v4, ISCA 2023"
DOCS = "cloud.google.com/tpu/docs, page of the generation"
_VPU = "8 × 128 lanes, each with several ALUs; counted in fused multiply-adds"
_NO_L2 = assumed(0, "no cache between VMEM and HBM")


def _tensor_core(
    name: str,
    title: str,
    year: int,
    matrix: Mapping[str, float],
    lanes: float,
    vmem_mib: float,
    source: str,
    side: int = 128,
) -> Chip:
    """A TPU whose TensorCore has `vmem_mib` MiB of vector memory and square arrays."""
    return chip(
        source=source,
        name=name,
        title=title,
        vendor="Google",
        family="tpu",
        year=year,
        core_name="TensorCore",
        matrix=matrix,
        vector={"fp32": assumed(lanes, "unpublished; " + _VPU)},
        special_per_cycle=assumed(1024, "unpublished; one a lane and cycle"),
        tile_mnk=(8, side, side),
        scratchpad_bytes=assumed(vmem_mib * MiB, "VMEM of a core, from memory"),
        register_bytes=assumed(
            vmem_mib / 4 * MiB, "products add up in VMEM, of which a quarter is taken for sums"
        ),
        lacks=frozenset({"i64", "f64"}),
    )


_MXU = 128 * 128
V2 = _tensor_core("tpu-v2", "TPU v2", 2017, {"bf16": _MXU}, 1024, 16, CACM)
V3 = _tensor_core("tpu-v3", "TPU v3", 2018, {"bf16": 2 * _MXU}, 1024, 16, CACM)
V4 = _tensor_core("tpu-v4", "TPU v4", 2021, {"bf16": 4 * _MXU, "int8": 4 * _MXU}, 2048, 16, V4I)
V5E = _tensor_core(
    "tpu-v5e", "TPU v5e", 2023, {"bf16": 4 * _MXU, "int8": 8 * _MXU}, 2048, 128, DOCS
)
V5P = _tensor_core("tpu-v5p", "TPU v5p", 2023, {"bf16": 4 * _MXU, "int8": 8 * _MXU}, 2048, 64, DOCS)
V6E = _tensor_core(
    "tpu-v6e",
    "TPU v6e (Trillium)",
    2024,
    {"bf16": macs(918, 1, 1.75e9, DOCS, "assumed"), "int8": macs(1836, 1, 1.75e9, DOCS, "assumed")},
    2048,
    128,
    DOCS,
    side=256,
)
V7 = _tensor_core(
    "tpu-v7",
    "TPU v7 (Ironwood)",
    2025,
    {"bf16": macs(2307, 2, 2.2e9, DOCS, "assumed"), "fp8": macs(4614, 2, 2.2e9, DOCS, "assumed")},
    2048,
    64,
    DOCS,
    side=256,
)

CARDS: tuple[Card, ...] = (
    card(
        source=CACM,
        name="tpu-v2",
        title="Google TPU v2",
        chip=V2,
        year=2017,
        form="board",
        use="train",
        cores=2,
        clock_hz=700 * MHz,
        memory_bytes=16 * GiB,
        memory_bytes_per_s=700 * GB,
        memory_type="HBM",
        l2_bytes=_NO_L2,
        host="3.0 x16",
        tdp_w=280,
        printed=tera(bf16=46),
        link=link("ICI", 4, derived(496, CACM + ": 4 × 496 Gbit/s each way"), CACM),
        aliases=("tpuv2",),
    ),
    card(
        source=CACM,
        name="tpu-v3",
        title="Google TPU v3",
        chip=V3,
        year=2018,
        form="board",
        use="train",
        cores=2,
        clock_hz=940 * MHz,
        memory_bytes=32 * GiB,
        memory_bytes_per_s=900 * GB,
        memory_type="HBM2",
        l2_bytes=_NO_L2,
        host="3.0 x16",
        tdp_w=450,
        printed=tera(bf16=123),
        link=link("ICI", 4, derived(656, CACM + ": 4 × 656 Gbit/s each way"), CACM),
        aliases=("tpuv3",),
        conflicts=(
            Conflict(
                field="link.bytes_per_s",
                versions=("656 GB/s (CACM 2020)", "560 GB/s (from memory)"),
                used="656 GB/s: the paper's",
            ),
        ),
    ),
    card(
        source=DOCS,
        name="tpu-v4",
        title="Google TPU v4",
        chip=V4,
        year=2021,
        form="board",
        use="train",
        cores=2,
        clock_hz=published(1050 * MHz, V4I),
        memory_bytes=32 * GiB,
        memory_bytes_per_s=1200 * GB,
        memory_type="HBM2",
        l2_bytes=published(128 * MiB, V4I + ": CMEM"),
        l2_bytes_per_s=assumed(4800 * GB, "CMEM rate unpublished; four times the HBM's taken"),
        tdp_w=published(192, DOCS + ": largest measured power"),
        idle_w=published(90, DOCS + ": least measured power"),
        printed=tera(bf16=275, int8=275),
        link=link("ICI", 6, published(600, V4I + ": 6 × 50 GB/s each way"), DOCS),
        aliases=("tpuv4",),
    ),
    card(
        source=DOCS,
        name="tpu-v5e",
        title="Google TPU v5e",
        chip=V5E,
        year=2023,
        form="board",
        cores=1,
        clock_hz=clock(197, 1, 4 * _MXU, DOCS),
        memory_bytes=16 * GiB,
        memory_bytes_per_s=819 * GB,
        memory_type="HBM2e",
        l2_bytes=_NO_L2,
        tdp_w=assumed(200, "unpublished; between the v4's mean and the A30"),
        printed=tera(bf16=197, int8=394),
        link=link("ICI", 4, 400, DOCS),
        aliases=("tpuv5e", "tpu v5 lite"),
    ),
    card(
        source=DOCS,
        name="tpu-v5p",
        title="Google TPU v5p",
        chip=V5P,
        year=2023,
        form="board",
        use="train",
        cores=2,
        clock_hz=clock(459, 2, 4 * _MXU, DOCS),
        memory_bytes=95 * GiB,
        memory_bytes_per_s=2765 * GB,
        memory_type="HBM2e",
        l2_bytes=_NO_L2,
        tdp_w=assumed(500, "unpublished; the H100 PCIe draws 350 W for two thirds more FLOP"),
        printed=tera(bf16=459, int8=918),
        link=link("ICI", 6, 1200, DOCS),
        aliases=("tpuv5p",),
        conflicts=(
            Conflict(
                field="link.bytes_per_s",
                versions=("4800 Gbit/s (older documents)", "1200 GB/s (newer documents)"),
                used="1200 GB/s: the same, one way and both ways",
            ),
        ),
    ),
    card(
        source=DOCS,
        name="tpu-v6e",
        title="Google TPU v6e (Trillium)",
        chip=V6E,
        year=2024,
        form="board",
        cores=1,
        clock_hz=assumed(1.75 * GHz, "unpublished; the v5p's taken, MACs solved from the peak"),
        memory_bytes=32 * GiB,
        memory_bytes_per_s=1640 * GB,
        memory_type="HBM",
        l2_bytes=_NO_L2,
        tdp_w=assumed(300, "unpublished; four to five times the v5e's FLOP in a newer process"),
        printed=tera(bf16=918, int8=1836),
        link=link("ICI", 4, 800, DOCS),
        aliases=("tpuv6e", "trillium", "tpu trillium"),
    ),
    card(
        source=DOCS,
        name="tpu-v7",
        title="Google TPU v7 (Ironwood)",
        chip=V7,
        year=2025,
        form="board",
        cores=2,
        clock_hz=assumed(2.2 * GHz, "unpublished; MACs solved from the peak"),
        memory_bytes=192 * GiB,
        memory_bytes_per_s=7380 * GB,
        memory_type="HBM3e",
        l2_bytes=_NO_L2,
        tdp_w=assumed(1000, "unpublished; taken to equal the B200's, whose peaks are alike"),
        printed=tera(bf16=2307, fp8=4614),
        link=link("ICI", 6, 1200, DOCS),
        aliases=("ironwood", "tpu7x", "tpuv7"),
    ),
)
