"""Sums that must come out: what is derived from facts equals what the datasheet prints."""

from __future__ import annotations

from suiren.hw.spec import Card
from suiren.units import show_rate

#: Largest relative gap between cores × MACs × 2 × clock and the printed peak.
PEAK_TOLERANCE = 0.01


def faults(card: Card) -> list[str]:
    """One sentence for each sum that does not come out; empty for a sound card."""
    found = []
    for peak_format, printed in card.printed_flop_per_s.items():
        derived = card.peak_flop_per_s(peak_format)
        if abs(derived - printed) > PEAK_TOLERANCE * printed:
            found.append(
                f"{card.name}: cores × MACs × 2 × clock gives "
                f"{show_rate(derived, 'FLOP/s')} in {peak_format}, "
                f"but the printed peak is {show_rate(printed, 'FLOP/s')}"
            )
    for name, fact in card.facts():
        if not fact > 0 and name not in _MAY_BE_ZERO:
            found.append(f"{card.name}: {name} is {float(fact):g}; it must be above 0")
    for name in ("matrix_efficiency", "memory_efficiency"):
        if getattr(card, name) > 1:
            found.append(f"{card.name}: {name} is {getattr(card, name):g}; it cannot exceed 1")
    if card.idle_w > card.tdp_w:
        found.append(f"{card.name}: idle_w {card.idle_w:g} W exceeds tdp_w {card.tdp_w:g} W")
    return found


#: A chip without an L2, without device memory or without ports says 0.
_MAY_BE_ZERO = frozenset(
    {
        "l2_bytes",
        "l2_bytes_per_s",
        "memory_bytes",
        "memory_bytes_per_s",
        "link.ports",
        "memory_latency_s",
        "launch_s",
        "pace.matrix_step_s",
        "pace.packed_step_s",
        "pace.instruction_s",
        "pace.copy_issue_s",
        "pace.tile_start_s", "pace.pipeline_start_s",
        "pace.l2_latency_s",
        "pace.barrier_s",
        "pace.mac_j",
        "pace.vector_mac_j",
        "pace.vector_step_s",
        "pace.matrix_start_s", "pace.fold_s",
        "pace.overlap_loss",
        "pace.memory_byte_j",
        "pace.l2_byte_j",
        "pace.lane_j",
    }
)
