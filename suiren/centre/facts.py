"""What is taken where a centre file is silent: cooling, hosts, switches, optics, storage.

Prices are not here: they are the user's. Marked `assumed` is what could not be read again.
"""

from __future__ import annotations

from suiren.fleet.fault_rates import BLOOM_CHECKPOINT_BYTES, BLOOM_CHECKPOINT_S
from suiren.hw.fact import Fact, assumed, derived, published

#: Power at the meter over power of the machines, by kind of cooling.
PUE: dict[str, Fact] = {
    "average": published(
        1.58, "Uptime Institute Global Data Center Survey 2023: industry average; "
        "journal.uptimeinstitute.com, Large data centers are mostly more efficient"
    ),
    "air": assumed(1.4, "a new hall with chilled air: below the industry's average of 1.58"),
    "free": published(
        1.10, "Google's fleet, second quarter of 2021, as CNBC quotes it, April 2022"
    ),
    "liquid": assumed(1.15, "cold plates with dry coolers: near the best published of 1.10"),
}  # fmt: skip

_DGX_A100 = "DGX A100: 6.5 kW at most (user guide DU-09821, 2020) less 8 × 400 W of its cards"
_DGX_H100 = "DGX H100: 10.2 kW at most (DGX H100/H200 user guide) less 8 × 700 W of its cards"
#: A node without its cards at its peak, by node of the catalogue.
HOST_PEAK_W: dict[str, Fact] = {
    "dgx-a100": derived(3300, _DGX_A100),
    "hgx-h100": derived(4600, _DGX_H100),
    "hgx-h200": derived(4600, _DGX_H100),
}
HOST_PEAK_PER_CARD_W = assumed(
    175, "two CPUs, memory, fans and NICs of a server of eight cards without card-to-card "
    "switches, about 1.4 kW"
)  # fmt: skip
HOST_TRAINING_SHARE = assumed(
    0.6, "a host's power while it trains over its peak: fans and CPUs are seldom at full"
)

_QM = "recalled from the datasheet, not read again"
#: (bytes/s of a port from which it holds, a switch of 64 ports): scaled by ports.
SWITCH_64_W: tuple[tuple[float, Fact], ...] = (
    (50e9, assumed(747, f"Quantum-2 QM9700, 64 × 400 Gbit/s, typical, passive cables: {_QM}")),
    (25e9, assumed(405, f"Quantum QM8700, 253 W for 40 × 200 Gbit/s × 64 / 40: {_QM}")),
    (0.0, assumed(250, f"switches of 64 × 100 Gbit/s, typical: {_QM}")),
)
OPTIC_W: tuple[tuple[float, Fact], ...] = (
    (50e9, assumed(8.5, "half of a 17 W OSFP module (QM97XX user manual, class 8), which has two "
                        "ports of 400 Gbit/s")),
    (25e9, published(6.0, "an HDR cable can require 6 W a port: NVIDIA DGX SuperPOD cabling "
                          "data centers design guide, port power")),
    (0.0, assumed(3.5, "QSFP28 modules are of power class 4, 3.5 W")),
)  # fmt: skip
STORAGE_BYTES_PER_S_PER_CARD = derived(
    float(BLOOM_CHECKPOINT_BYTES) / float(BLOOM_CHECKPOINT_S) / 384,
    f"2.3 TB in 40 s on 384 chips, BLOOM; {BLOOM_CHECKPOINT_S.source}",
)
STORAGE_W_PER_TB = assumed(1.5, "NVMe drives of 15 TB at 12 W, servers and switches as much again")
CHECKPOINT_BYTES_PER_WEIGHT = assumed(
    14, "weights in two bytes, FP32 weights and two moments; BLOOM's 2.3 TB of 176e9 are 13.1"
)
SITE_IDLE_SHARE = assumed(0.5, "a host without a job draws half of what it draws in training")


def by_rate(rows: tuple[tuple[float, Fact], ...], bytes_per_s: float) -> Fact:
    """The row of the fastest port that is not faster than `bytes_per_s`."""
    return next(fact for least, fact in rows if bytes_per_s >= least)
