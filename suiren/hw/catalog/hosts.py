"""Hosts of the boxes whose processors are published; rates are channels × transfers × 8 bytes."""

from __future__ import annotations

from suiren.hw.fact import derived, published
from suiren.hw.host import ddr
from suiren.hw.spec import Host
from suiren.units import GB


def _two_sockets(title: str, cores: int, channels: int, rate: int, kind: str, source: str) -> Host:
    """Two processors of so many cores and memory channels each."""
    return Host(
        title=f"2 × {title}",
        cores=published(2 * cores, source),
        memory_bytes_per_s=derived(
            ddr(2, channels, rate), f"2 sockets × {channels} channels of {kind}-{rate} × 8 bytes; "
            f"{source}",
        ),
    )  # fmt: skip


DGX_1 = _two_sockets("Xeon E5-2698 v4", 20, 4, 2133, "DDR4", "NVIDIA DGX-1 datasheet, 2017")
DGX_A100 = _two_sockets("EPYC 7742", 64, 8, 3200, "DDR4", "NVIDIA DGX A100 datasheet, 2020; AMD")
DGX_H100 = _two_sockets(
    "Xeon Platinum 8480C", 56, 8, 4800, "DDR5", "NVIDIA DGX H100 datasheet, 2022; Intel"
)
DGX_B200 = _two_sockets(
    "Xeon Platinum 8570", 56, 8, 5600, "DDR5", "NVIDIA DGX B200 datasheet, 2024; Intel"
)
HLS_GAUDI2 = _two_sockets(
    "Xeon Platinum 8380", 40, 8, 3200, "DDR4", "Habana HLS-Gaudi2 server, 2022; Intel"
)
TRN1 = _two_sockets(
    "Xeon 8375C", 32, 8, 3200, "DDR4", "AWS trn1.32xlarge instance page: 128 vCPUs; Intel"
)


def grace(count: int) -> Host:
    """Grace processors, 72 cores each, which GB200 and GB300 boards carry one for two GPUs."""
    source = "NVIDIA GB200 NVL72 datasheet, 2024: Grace, 72 cores, LPDDR5X up to 512 GB/s"
    return Host(
        title=f"{count} × Grace",
        cores=published(72 * count, source),
        memory_bytes_per_s=published(512 * GB * count, source),
    )
