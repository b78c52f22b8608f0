"""Energy: idle power for as long as it lasts, and what each engine and memory level adds.

A card that ran every engine at its peak at once would draw its rated power and more; no
one publishes the shares. They are assumed here, in one place, and named in every answer
that rests on them.
"""

from __future__ import annotations

from suiren.hw.fact import Fact, assumed
from suiren.hw.spec import Card
from suiren.mapper.price import Price

_WHY = (
    "no vendor publishes it; under matrix load an A100 draws 338 W of 400 on average "
    "(FlagPerf), of which its memory interface takes about a third at full bandwidth"
)
MATRIX_SHARE: Fact = assumed(0.60, "share of (rated − idle) power at full matrix rate; " + _WHY)
MEMORY_SHARE: Fact = assumed(0.35, "share of (rated − idle) power at full bandwidth; " + _WHY)
VECTOR_SHARE: Fact = assumed(0.30, "share of (rated − idle) power at full vector rate; " + _WHY)


def dynamic_energy_j(priced: Price, card: Card) -> float:
    """Joules a call adds to idle power: padding and re-reads cost energy too."""
    room_w = float(card.tdp_w - card.idle_w)
    flop = sum(priced.flop.values())
    waste = priced.padded_flop / flop if flop else 1.0
    matrix_s = sum(
        amount * waste / card.peak_flop_per_s(name) for name, amount in priced.flop.items()
    )
    bandwidth = card.memory_bytes_per_s
    memory_s = priced.memory_bytes / bandwidth if bandwidth else 0.0
    vector_s = priced.parts_s["vector"]
    return room_w * (MATRIX_SHARE * matrix_s + MEMORY_SHARE * memory_s + VECTOR_SHARE * vector_s)


def energy_j(dynamic_j: float, seconds: float, card: Card) -> float:
    """Joules of a stretch of time; the card's power limit caps the average.

    A card at its limit lowers its clock; here the energy is capped and the time kept,
    which the report says.
    """
    return min(dynamic_j + card.idle_w * seconds, card.tdp_w * seconds)
