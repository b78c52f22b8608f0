"""Energy of a step: idle power for as long as it lasts, and what instructions and bytes add."""

from __future__ import annotations

from suiren.hw.spec import Card


def energy_j(dynamic_j: float, seconds: float, card: Card) -> float:
    """Joules of a stretch of time; the card's power limit bounds the average.

    The clock is lowered to keep within the limit (`step.under_the_limit`); what is left above
    it, where even the lowest clock draws too much, is cut.
    """
    return min(dynamic_j + card.idle_w * seconds, card.tdp_w * seconds)
