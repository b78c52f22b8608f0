"""How chips behave beyond their datasheet: one row a family, carried over by rule.

A datasheet prints peaks. What a kernel sees also depends on what it costs to start one,
on how much of a peak a well-written kernel sustains, and on how fast the host issues
work. Such numbers are facts too, with a source and a kind. A family without a
measurement of its own stands in `families.py`, and then they are `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from suiren.hw.fact import Fact, assumed, fitted
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

_GEMM = "fitted on the GEMM rows of split `fit` of data/measured (docs/validation.md), "
_SMALL = "fitted on the small-kernel rows of split `fit` of gpu-benches: "
#: The source of what a family takes over from the A100 because nothing tells its own.
AS_A100 = "nobody published it for this chip; carried over from the A100's fit"


#: Facts that attention shows; the same rows of other tables fit the rest.
_BY_ATTENTION = frozenset({"matrix_start_s", "fold_s"})
_ATTENTION = "fitted on the attention rows of split `fit` of data/measured, "


def _pace(rows: str, **values: float) -> Pace:
    """A fitted row; what it leaves out is assumed as for the A100."""
    chip = rows.rpartition(", ")[2]

    def row(name: str, value: float) -> Fact:
        if name not in values:
            return assumed(value, AS_A100)
        return fitted(values[name], _ATTENTION + chip if name in _BY_ATTENTION else rows)

    return Pace(**{name: row(name, value) for name, value in _A100.items()})


_A100 = {
    "sustained_clock": 1.0, "packed_step_s": 0.0,
    "narrow_share": 0.95, "matrix_step_s": 334e-9, "matrix_start_s": 0.0, "fold_s": 190e-9,
    "vector_step_s": 52.7e-9, "overlap_loss": 0.094,
    "vector_efficiency": 0.8, "stream_efficiency": 0.88,
    "instruction_s": 20e-9, "copy_issue_s": 2e-9, "tile_start_s": 40e-9,
    "pipeline_start_s": 0.96e-6,
    "l2_latency_s": 1009e-9, "l2_efficiency": 0.744, "l2_share": 0.5, "l2_softness": 0.3,
    "port_bytes_per_cycle": 38.6, "store_share": 0.286, "multicast": 1.0, "barrier_s": 1.0e-6,
    "mac_j": 3.1e-12, "vector_mac_j": 43.8e-12, "voltage_floor": 0.5, "memory_byte_j": 60e-12,
    "l2_byte_j": 10e-12, "lane_j": 4e-12,
}  # fmt: skip
ASSUMED_PACE = Pace(**{name: assumed(value, AS_A100) for name, value in _A100.items()})
_A100_LANES = "fitted on NeuSight bmm and linear rows of split `fit`, A100 PCIe"
_AMPERE_PACE = replace(
    _pace(_GEMM + "A100 SXM", **_A100),
    vector_step_s=fitted(_A100["vector_step_s"], _A100_LANES),
    vector_mac_j=fitted(_A100["vector_mac_j"], _A100_LANES),
    voltage_floor=assumed(_A100["voltage_floor"], "low enough to leave the GEMM fits alone"),
)
_HOPPER_PACE = _pace(
    _GEMM + "H100 SXM", matrix_step_s=16.6e-9, narrow_share=0.956, overlap_loss=0.086,
    tile_start_s=540e-9, pipeline_start_s=0.57e-6,
    matrix_start_s=130e-9, fold_s=110e-9,
    l2_latency_s=411e-9, l2_efficiency=1.172, l2_share=0.572, l2_softness=0.48,
    port_bytes_per_cycle=80.1, store_share=0.6656, multicast=2.0, barrier_s=1.3e-6,
    mac_j=2.06e-12,
)  # fmt: skip
_ADA_PACE = _pace(
    _GEMM + "L40S", matrix_step_s=18.8e-9, narrow_share=0.907, overlap_loss=0.183,
    tile_start_s=93e-9, pipeline_start_s=0.44e-6,
    matrix_start_s=0.0, fold_s=200e-9,
    l2_latency_s=632e-9, l2_efficiency=0.177, l2_share=0.963, l2_softness=0.133,
    port_bytes_per_cycle=97.4, store_share=0.1465, barrier_s=1.2e-6, mac_j=4.41e-12,
)  # fmt: skip
_BLACKWELL_PACE = _pace(
    _GEMM + "GB200", matrix_step_s=64.5e-9, packed_step_s=380e-9, narrow_share=0.948,
    overlap_loss=0.134,
    tile_start_s=80e-9, pipeline_start_s=0.49e-6,
    matrix_start_s=150e-9, fold_s=60e-9,
    l2_latency_s=329e-9, l2_efficiency=1.14, l2_share=0.446, l2_softness=0.98,
    port_bytes_per_cycle=117, store_share=0.5286, multicast=2.0, barrier_s=1.85e-6, mac_j=1.8e-12,
)  # fmt: skip
_XE_PACE = _pace(
    _GEMM + "Arc Pro B60", matrix_step_s=60e-9, overlap_loss=0.019, tile_start_s=137e-9,
    matrix_start_s=0.0, fold_s=0.0,
    l2_latency_s=132e-9, l2_efficiency=0.687, l2_share=0.855, l2_softness=0.425,
    port_bytes_per_cycle=23.5, store_share=1.1, barrier_s=4.6e-6, mac_j=1.0e-12,
)  # fmt: skip


AS_THE_A100 = Behaviour(
    launch_s=assumed(2.5 * us, _CARRIED + "1.5 to 3 µs between dependent kernels of one stream"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=assumed(0.85, _CARRIED + "271.2 and 259.2 of 312 TFLOP/s in BF16"),
    memory_efficiency=assumed(0.85, _CARRIED + "HBM copy 1328 of 1555 GB/s"),
    memory_latency_s=assumed(0.8 * us, _CARRIED + "DRAM latency of 0.5 to 1 µs"),
    pace=ASSUMED_PACE,
)

_AMPERE = Behaviour(
    launch_s=fitted(1.33 * us, _SMALL + "a100_80_graph"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=fitted(1.0, _GEMM + "A100 SXM"),
    memory_efficiency=fitted(0.787, _GEMM + "A100 SXM"),
    memory_latency_s=fitted(0.463 * us, _GEMM + "A100 SXM"),
    pace=_AMPERE_PACE,
)

_HOPPER = Behaviour(
    launch_s=fitted(1.23 * us, _SMALL + "h200_graph"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=fitted(0.94, _GEMM + "H100 SXM"),
    memory_efficiency=fitted(0.871, _GEMM + "H100 SXM"),
    memory_latency_s=fitted(0.216 * us, _GEMM + "H100 SXM"),
    pace=_HOPPER_PACE,
)

_ADA = Behaviour(
    launch_s=fitted(0.98 * us, _SMALL + "l40_graph"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=fitted(0.768, _GEMM + "L40S"),
    memory_efficiency=fitted(0.843, _GEMM + "L40S"),
    memory_latency_s=fitted(0.348 * us, _GEMM + "L40S"),
    pace=_ADA_PACE,
)

_BLACKWELL = Behaviour(
    launch_s=fitted(1.23 * us, _SMALL + "h200_graph, taken over"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=fitted(0.764, _GEMM + "GB200"),
    memory_efficiency=fitted(0.821, _GEMM + "GB200"),
    memory_latency_s=fitted(0.249 * us, _GEMM + "GB200"),
    pace=_BLACKWELL_PACE,
)

_XE = Behaviour(
    launch_s=fitted(8.99 * us, _GEMM + "Arc Pro B60"),
    host_issue_s=_HOST_ISSUE,
    matrix_efficiency=fitted(0.995, _GEMM + "Arc Pro B60"),
    memory_efficiency=fitted(0.94, _GEMM + "Arc Pro B60"),
    memory_latency_s=fitted(0.155 * us, _GEMM + "Arc Pro B60"),
    pace=_XE_PACE,
)

#: Families whose FP32 products run on the vector engine: values fitted by rows of one table.
_SIMT = "fitted on the bmm, linear and DeepBench rows of split `fit` (docs/validation.md), "


def _simt(
    rows: str, efficiency: float, memory: float, carried: dict[str, float], **values: float
) -> Behaviour:
    """A family fitted on FP32 products; `carried` were held while the others were fitted."""
    why = "held at a relative's or a start value while the rest was fitted; not determined by rows"
    held = {name: assumed(value, why) for name, value in carried.items()}
    share = held.pop("matrix_efficiency", fitted(efficiency, _SIMT + rows))
    return Behaviour(
        launch_s=assumed(2.5 * us, "a kernel launch as on the A100; the rest is the host's"),
        host_issue_s=_HOST_ISSUE,
        matrix_efficiency=share,
        memory_efficiency=fitted(memory, _SIMT + rows),
        memory_latency_s=assumed(0.463 * us, AS_A100),
        pace=replace(_pace(_SIMT + rows, **values), **held),
    )


_VOLTA = _simt(
    "V100 PCIe and SXM", 0.952, 0.779,
    {"l2_share": 1.0, "tile_start_s": 40e-9, "matrix_step_s": 20e-9},
    vector_step_s=279e-9, l2_latency_s=543e-9, l2_efficiency=1.17, store_share=0.422,
    vector_mac_j=35e-12, port_bytes_per_cycle=65.7,
)  # fmt: skip
_TURING = _simt(
    "T4", 1.0, 0.665, {"tile_start_s": 40e-9, "voltage_floor": 1.0},
    vector_step_s=1.04e-6, l2_latency_s=584e-9, l2_efficiency=0.205, l2_share=0.939,
    store_share=0.419, vector_mac_j=37.3e-12,
)  # fmt: skip
_PASCAL = _simt(
    "P100, P4 (bmm only)", 0.889, 0.95, {"l2_share": 0.78, "voltage_floor": 1.0},
    vector_step_s=50e-9, tile_start_s=1.75e-6, l2_latency_s=485e-9, l2_efficiency=0.503,
    store_share=0.637, vector_mac_j=35.6e-12,
)  # fmt: skip
_MAXWELL = _simt(
    "M40, Titan X", 0.889, 0.33,
    {"matrix_efficiency": 0.889, "l2_latency_s": 485e-9, "l2_share": 0.78, "store_share": 0.637,
     "vector_mac_j": 50e-12, "voltage_floor": 1.0},
    sustained_clock=0.81, vector_step_s=227e-9, tile_start_s=2.3e-6, l2_efficiency=0.116,
)  # fmt: skip
_VEGA = _simt(
    "MI25, Vega FE", 0.815, 0.521,
    {"l2_latency_s": 485e-9, "l2_share": 0.78, "vector_mac_j": 36e-12},
    vector_step_s=888e-9, tile_start_s=1.57e-6, l2_efficiency=0.145, store_share=0.378,
)  # fmt: skip

#: Streams and rows: pointwise ops, softmax, layer norm.
_STREAMS = "fitted on the NeuSight pointwise, softmax and norm rows of split `fit`, "
_BENCHES = "fitted on the gpu-benches stream rows of split `fit`, "


def _streaming(row: Behaviour, rows: str, stream: float, vector: float | None = None) -> Behaviour:
    """The row with the shares of memory's bandwidth and of the lanes that streams reach."""
    pace = replace(row.pace, stream_efficiency=fitted(stream, rows))
    if vector is not None:
        pace = replace(pace, vector_efficiency=fitted(vector, rows))
    return replace(row, pace=pace)


#: Family -> what its own measurements tell.
MEASURED: dict[str, Behaviour] = {
    "blackwell": _BLACKWELL, "xe": _XE, "maxwell": _MAXWELL, "vega": _VEGA,
    "ampere": _streaming(_AMPERE, _STREAMS + "A100 PCIe", 0.88),
    "hopper": _streaming(_HOPPER, _BENCHES + "H100 PCIe", 0.85),
    "ada": _streaming(_ADA, _BENCHES + "L40", 0.89),
    "volta": _streaming(_VOLTA, _STREAMS + "V100 PCIe", 0.925, 0.9),
    "turing": _streaming(_TURING, _STREAMS + "T4", 0.75, 0.385),
    "pascal": _streaming(_PASCAL, _STREAMS + "P100, P4", 0.76, 0.72),
    "cdna": _streaming(AS_THE_A100, _STREAMS + "MI100", 0.865, 1.0),
    "cdna2": _streaming(AS_THE_A100, _BENCHES + "MI210", 0.81),
}  # fmt: skip
