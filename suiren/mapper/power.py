"""Power: what a kernel draws, and the clock a card falls to when that exceeds its limit.

Dynamic power of the engines goes with the cube of the clock (voltage follows frequency), and
with the clock alone below the one at which the voltage is least; what memory draws goes with
neither. A kernel whose engines would draw more than the limit leaves
runs them slower, which stretches the time its engines bound. This is why a large product on
an H100 does not hold the printed peak.
"""

from __future__ import annotations

from suiren.core.pace import engines_of
from suiren.core.timing import Timing
from suiren.dtype import bits_of
from suiren.hw.spec import Card

#: At least this share of the limit stays for the engines, whatever memory draws.
LEAST_SHARE = 0.2


def mac_j(card: Card, dtype: str) -> float:
    """Energy of a multiply-accumulate of a format on the engine that runs it.

    On the matrix engine it goes with the width of the operands. The vector engine fetches and
    decodes for every one of them: that has an energy of its own.
    """
    if engines_of(card).product_engine(dtype)[0] == "vector":
        return float(card.pace.vector_mac_j)
    return float(card.pace.mac_j * max(8, bits_of(dtype)) / 16)


def engine_w(timing: Timing, card: Card, dtype: str) -> float:
    """Power of the engines at full clock, watts."""
    joules = timing.macs * mac_j(card, dtype) + timing.lanes * card.pace.lane_j
    return joules / timing.seconds if timing.seconds else 0.0


def memory_w(timing: Timing, card: Card) -> float:
    """Power of device memory, watts."""
    joules = timing.memory_bytes * card.pace.memory_byte_j
    return joules / timing.seconds if timing.seconds else 0.0


def clock_share(
    timing: Timing, card: Card, dtype: str, rest_s: float = 0.0, rest_j: float = 0.0
) -> float:
    """The clock under the power limit, as a share of the full one.

    The limit holds on average over the kernel and `rest_s` beside it, in which engines rest and
    device memory takes `rest_j`.
    """
    share = timing.seconds / (timing.seconds + rest_s) if timing.seconds else 1.0
    moving_w = memory_w(timing, card) * share
    moving_w += rest_j / (timing.seconds + rest_s) if rest_s else 0.0
    room_w = max(card.tdp_w - card.idle_w - moving_w, LEAST_SHARE * card.tdp_w)
    wants_w = engine_w(timing, card, dtype) * share
    if wants_w <= room_w:
        return 1.0
    given, floor = room_w / wants_w, card.pace.voltage_floor
    return float(given ** (1 / 3) if given >= floor**3 else given / floor**2)


def held_s(
    timing: Timing, card: Card, dtype: str, throttled: float = 1.0, rest_s: float = 0.0,
    rest_j: float = 0.0,
) -> float:  # fmt: skip
    """Time with the clock the limit allows, for a share `throttled` of it (1: steadily).

    `rest_s` and `rest_j` as in `clock_share`.
    """
    clock = clock_share(timing, card, dtype, rest_s, rest_j)
    if clock >= 1.0 or throttled <= 0.0:
        return timing.seconds
    bound = timing.parts_s.get("matrix", 0.0) + timing.parts_s.get("vector", 0.0)
    share = min(1.0, bound / timing.seconds)
    slow = timing.seconds * (1 + share * (1 / clock - 1))
    return timing.seconds * (1 - throttled) + slow * throttled


def transport_j(timing: Timing, card: Card) -> float:
    """Joules of all bytes through the shared level and device memory."""
    pace = card.pace
    return timing.memory_bytes * pace.memory_byte_j + timing.l2_bytes * pace.l2_byte_j


def energy_j(timing: Timing, card: Card, dtype: str) -> float:
    """Joules beyond idle power of one kernel: engines, shared level, device memory."""
    engines_j = timing.macs * mac_j(card, dtype) + timing.lanes * card.pace.lane_j
    return float(engines_j + transport_j(timing, card))
