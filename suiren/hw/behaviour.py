"""How chips behave beyond their datasheet: one row a family, carried over by rule.

A datasheet prints peaks. What a kernel sees also depends on what it costs to start one,
on how much of a peak a well-written kernel sustains, and on how fast the host issues
work. Such numbers are facts too, with a source and a kind. A family without a
measurement of its own takes the row `default`, and then they are `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact, assumed, derived
from suiren.hw.pace import Pace
from suiren.units import us

_FLAGPERF = "FlagOpen/FlagPerf@1b5a030 base/benchmarks, A100: "
_CARRIED = "nobody published it for this chip; carried over from the A100's measurement: "


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """The behaviour facts of one family of chips; `Card` holds a copy of each."""

    launch_s: Fact
    host_issue_s: Fact
    matrix_efficiency: Fact
    memory_efficiency: Fact
    memory_latency_s: Fact
    pace: Pace


_HOST_ISSUE = assumed(
    5 * us,
    "an eager PyTorch op takes 4 to 8 µs of one CPU core on CUDA builds; DLPerf and vTrain's "
    "smallest models, where launches rule, agree in magnitude",
)

_A = "to be fitted"
_PACE = Pace(
    sustained_clock=assumed(1.0, _A),
    matrix_step_s=assumed(100e-9, _A),
    overlap_loss=assumed(0.1, _A),
    vector_efficiency=assumed(0.8, _A),
    instruction_s=assumed(20e-9, _A),
    copy_issue_s=assumed(2e-9, _A),
    tile_start_s=assumed(200e-9, _A),
    l2_latency_s=assumed(300e-9, _A),
    l2_efficiency=assumed(0.8, _A),
    l2_share=assumed(0.5, _A),
    l2_softness=assumed(0.2, _A),
    port_bytes_per_cycle=assumed(64, _A),
    store_share=assumed(0.35, _A),
    multicast=assumed(1, _A),
    barrier_s=assumed(1e-6, _A),
    mac_j=assumed(1e-12, _A),
    memory_byte_j=assumed(60e-12, _A),
    l2_byte_j=assumed(10e-12, _A),
    lane_j=assumed(2e-12, _A),
)

_DEFAULT = Behaviour(
    launch_s=assumed(2.5 * us, _CARRIED + "1.5 to 3 µs between dependent kernels of one stream"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=assumed(0.85, _CARRIED + "271.2 and 259.2 of 312 TFLOP/s in BF16"),
    memory_efficiency=assumed(0.85, _CARRIED + "HBM copy 1328 of 1555 GB/s"),
    memory_latency_s=assumed(0.8 * us, _CARRIED + "DRAM latency of 0.5 to 1 µs"),
    pace=_PACE,
)

_AMPERE = Behaviour(
    launch_s=assumed(1.8 * us, "1.5 to 2 µs between dependent kernels of one stream on A100"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=derived(
        0.87, "271.2 of 312 TFLOP/s in BF16: stas00/ml-engineering@744d01e accelerator README"
    ),
    memory_efficiency=derived(0.854, _FLAGPERF + "main-memory copy 1328 of 1555 GB/s"),
    memory_latency_s=assumed(0.6 * us, "DRAM latency of a loaded A100, 0.5 to 0.7 µs"),
    pace=_PACE,
)

_HOPPER = Behaviour(
    launch_s=assumed(1.8 * us, "taken to equal the A100's"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=derived(
        0.80, "794.5 of 989 TFLOP/s in BF16: stas00/ml-engineering@744d01e accelerator README"
    ),
    memory_efficiency=assumed(0.854, "taken to equal the A100's"),
    memory_latency_s=assumed(0.6 * us, "taken to equal the A100's"),
    pace=_PACE,
)

#: Family -> behaviour. A chip whose family is not listed takes `default`.
FAMILIES: dict[str, Behaviour] = {"default": _DEFAULT, "ampere": _AMPERE, "hopper": _HOPPER}


def behaviour(family: str) -> Behaviour:
    """The row of the family, or the default row."""
    return FAMILIES.get(family, _DEFAULT)
