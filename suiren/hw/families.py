"""How each family of chips behaves: what was measured, and by which rule the others are told.

A family without kernels measured on it takes the median of those that have them, with what is
published of its own put in its place.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.behaviour import AS_THE_A100, ASSUMED_PACE, MEASURED, Behaviour
from suiren.hw.fact import Fact, assumed, derived, published
from suiren.units import us

_MIDDLE = "nobody published it for this chip; the median of the families that were measured"
_MEDIAN: dict[str, float] = {
    "matrix_step_s": 19e-9, "overlap_loss": 0.094, "tile_start_s": 92e-9, "fold_s": 110e-9,
    "pipeline_start_s": 0.49e-6, "l2_latency_s": 411e-9, "l2_share": 0.57, "l2_softness": 0.42,
    "port_bytes_per_cycle": 80.0, "store_share": 0.53, "barrier_s": 1.3e-6,
}  # fmt: skip
#: What stands for a family without a measurement of its own.
_UNMEASURED = replace(
    AS_THE_A100,
    launch_s=assumed(1.23 * us, _MIDDLE),
    memory_latency_s=assumed(0.35 * us, _MIDDLE),
    pace=replace(ASSUMED_PACE, **{name: assumed(v, _MIDDLE) for name, v in _MEDIAN.items()}),
)
_HC33 = "AnandTech live blog of Hot Chips 33: "


def _dtu(group: int, cores: str) -> Behaviour:
    """A DTU: published ports and broadcasts, the rest as for chips nobody measured."""
    pace = replace(
        _UNMEASURED.pace,
        port_bytes_per_cycle=published(128, _HC33 + "a core loads 1 kbit in a cycle"),
        multicast=derived(
            group, f"copy engines broadcast (HPCA 2023, abstract); to a cluster of cores: {cores}"
        ),
        pipeline_start_s=assumed(0.2 * us, "kernel code is fetched ahead (HPCA 2023, abstract), "
                                 "so less than the half microsecond of the measured GPUs"),
    )  # fmt: skip
    return replace(_UNMEASURED, pace=pace)


#: TSMC on N3E against N5: power at one speed.
_N3_POWER = 0.68
_MAF = "AMD, Measuring Max-Achievable FLOPs, part 2, 2025: "
#: Of a multiply-accumulate at full clock: the cube law's energy with which 625 W hold the clock at
#: 708 / (0.94 × 1307).
_MI300_MAC_J = 5.3e-12


def _cdna(mac_j: Fact, whose: str) -> Behaviour:
    """Chiplets of AMD: what a die's own L2 takes off the cache that all dies share."""
    pace = replace(
        _UNMEASURED.pace,
        port_bytes_per_cycle=assumed(
            64, f"what a compute unit's L1 takes in, as on CDNA 2, from memory{whose}"
        ),
        multicast=assumed(
            6, "an L2 for the 38 units of a die: six by six tiles ask what lies beyond it for each "
            f"operand once{whose}"
        ),
        mac_j=mac_j,
    )  # fmt: skip
    efficiency = published(0.94, _MAF + "the most its library reaches at its clock")
    return replace(_UNMEASURED, matrix_efficiency=efficiency, pace=pace)


_MI300_MAC = assumed(
    _MI300_MAC_J, _MAF + "an MI300X sustains 708 TFLOP/s in BF16 at 750 W; the rate from memory"
)
_MI350_MAC = assumed(
    _N3_POWER * _MI300_MAC_J,
    f"the MI300X's, × {_N3_POWER}: TSMC on N3E against N5 at one speed, from memory",
)
_ARRAY = "an array of 256 × 256 holds its rate while it is fed, whatever the width of its operands"
_GAUDI = replace(
    _UNMEASURED,
    matrix_efficiency=assumed(1.0, _ARRAY),
    pace=replace(
        _UNMEASURED.pace,
        narrow_share=assumed(1.0, _ARRAY),
        tile_start_s=assumed(0.0, "what comes next waits in the array's queue"),
        l2_efficiency=assumed(1.0, "software lays out the shared memory; the printed rate taken"),
        overlap_loss=assumed(0.0, "copy engines and array have ports of their own"),
        port_bytes_per_cycle=derived(1024, "a column and a row of 256 numbers of 16 bits a cycle "
                                     "feed an array of 256 × 256 (Habana Gaudi2 whitepaper)"),
    ),
)  # fmt: skip

#: Family -> behaviour. A chip whose family is not listed takes `default`.
FAMILIES: dict[str, Behaviour] = {
    **MEASURED, "default": _UNMEASURED, "dtu1": _dtu(8, "32 in 4"), "dtu2": _dtu(6, "24 in 4"),
    "cdna3": _cdna(_MI300_MAC, ""), "cdna4": _cdna(_MI350_MAC, ", taken over"), "gaudi": _GAUDI,
}  # fmt: skip


def behaviour(family: str) -> Behaviour:
    """The row of the family, or the default row."""
    return FAMILIES.get(family, _UNMEASURED)
