"""What a hardware number may be: its range and unit, by field name.

The ranges are wide: they catch a slipped unit (GHz for Hz, GB for bytes), not an odd chip.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from suiren.units import KiB, TiB


@dataclass(frozen=True)
class Bound:
    """Least and greatest allowed value, both included, in `unit`."""

    least: float
    most: float
    unit: str

    def fault(self, field: str, value: float) -> str | None:
        """One sentence if the value lies outside, else None."""
        if self.least <= value <= self.most:
            return None
        span = f"between {_plain(self.least)} and {_plain(self.most)} {self.unit}"
        return f"{field} is {_plain(value)}; it must lie {span}"


def _plain(value: float) -> str:
    """`1e6`, not `1e+06`."""
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].strip("+"), f"{value:g}")


_SHARE = Bound(0.01, 1, "(a share)")
_SECONDS = Bound(0, 1, "s")
_WATTS = Bound(0.1, 1e5, "W")
_JOULES = Bound(0, 1e-6, "J")
_MACS = Bound(1, 1e7, "per core and cycle")

#: Field of `Card`, `Chip` (with `chip.`) or `Link` (with `link.`) -> bound.
BOUNDS: dict[str, Bound] = {
    "cores": Bound(1, 1e6, "cores"),
    "clock_hz": Bound(1e6, 1e10, "Hz"),
    "vector_clock_hz": Bound(1e6, 1e10, "Hz"),
    "memory_bytes": Bound(0, 64 * TiB, "bytes"),
    "memory_bytes_per_s": Bound(0, 1e15, "B/s"),
    "l2_bytes": Bound(0, TiB, "bytes"),
    "l2_bytes_per_s": Bound(0, 1e16, "B/s"),
    "host_bytes_per_s": Bound(1e6, 1e14, "B/s"),
    "tdp_w": _WATTS,
    "idle_w": _WATTS,
    "launch_s": _SECONDS,
    "host_issue_s": _SECONDS,
    "matrix_efficiency": _SHARE,
    "memory_efficiency": _SHARE,
    "memory_latency_s": _SECONDS,
    "printed_flop_per_s": Bound(1e6, 1e19, "FLOP/s"),
    "chip.matrix": _MACS,
    "chip.vector": _MACS,
    "chip.special_per_cycle": _MACS,
    "chip.scratchpad_bytes": Bound(KiB, TiB, "bytes"),
    "chip.register_bytes": Bound(1, TiB, "bytes"),
    "chip.core_groups": Bound(1, 1e6, "groups"),
    "chip.process_nm": Bound(0.1, 1000, "nm"),
    "pace.sustained_clock": Bound(0.1, 2, "(a share)"),
    "pace.matrix_step_s": _SECONDS,
    "pace.packed_step_s": _SECONDS,
    "pace.narrow_share": _SHARE,
    "pace.vector_step_s": _SECONDS,
    "pace.matrix_start_s": _SECONDS,
    "pace.fold_s": _SECONDS,
    "pace.overlap_loss": Bound(0, 1, "(a share)"),
    "pace.vector_efficiency": _SHARE,
    "pace.stream_efficiency": _SHARE,
    "pace.instruction_s": _SECONDS,
    "pace.copy_issue_s": _SECONDS,
    "pace.pipeline_start_s": _SECONDS,
    "pace.tile_start_s": _SECONDS,
    "pace.l2_latency_s": _SECONDS,
    "pace.l2_efficiency": Bound(0.01, 2, "(a share)"),
    "pace.l2_share": _SHARE,
    "pace.l2_softness": Bound(0.001, 10, "(a share)"),
    "pace.port_bytes_per_cycle": Bound(1, 1e6, "bytes per cycle"),
    "pace.store_share": Bound(0.001, 2, "(a share)"),
    "pace.multicast": Bound(1, 1024, "cores"),
    "pace.barrier_s": _SECONDS,
    "pace.mac_j": _JOULES,
    "pace.vector_mac_j": _JOULES,
    "pace.voltage_floor": _SHARE,
    "pace.memory_byte_j": _JOULES,
    "pace.l2_byte_j": _JOULES,
    "pace.lane_j": _JOULES,
    "link.ports": Bound(0, 1e4, "ports"),
    "link.bytes_per_s": Bound(0, 1e15, "B/s"),
}
