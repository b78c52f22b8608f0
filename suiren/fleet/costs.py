"""Costs of many rows at once: the numbers of `Cost` as the first axis of an array.

Every function does what the method of the same name does for one `Cost`, in the same order of
additions, so that the results are the same to the last digits.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.cost import BEFORE_SHARE, LEAST_CLOCK, Cost
from suiren.hw.spec import Card

Floats = NDArray[np.float64]
_NAMES = [f.name for f in fields(Cost)]
(
    MATRIX, VECTOR, MEMORY, LAUNCH, TP, CP, EP, HIDDEN, HOST, TAIL, ENGINE_S, ENGINE_J, MEMORY_J,
    FLOP,
) = (
    _NAMES.index(name)
    for name in ("matrix_s", "vector_s", "memory_s", "launch_s", "tp_s", "cp_s", "ep_s", "hidden_s",
                 "host_s", "tail_s", "engine_s", "engine_j", "memory_j", "flop")
)  # fmt: skip


def device_s(of: Floats) -> Floats:
    """Kernels and exposed collectives; [numbers, ...] to [...]."""
    kernels_s = of[MATRIX] + of[VECTOR] + of[MEMORY] + of[LAUNCH]
    return np.asarray(kernels_s + of[TP] + of[CP] + of[EP])


def seconds(of: Floats) -> Floats:
    """What the rank takes: `Cost.seconds`."""
    behind_s = device_s(of) + float(BEFORE_SHARE) * of[HOST]
    return np.asarray(np.maximum(of[HOST] + of[TAIL], behind_s))


def dynamic_j(of: Floats) -> Floats:
    """Energy beyond idle power; [numbers, ...] to [...]."""
    return np.asarray(of[ENGINE_J] + of[MEMORY_J])


def at_clock(of: Floats, clock: Floats, floor: float) -> Floats:
    """The same with the engines at a share of their clock; both have the same rows.

    The voltage goes with it down to the share `floor`.
    """
    stretch = 1 / clock
    bound = of[MATRIX] + of[VECTOR]
    share = np.divide(of[ENGINE_S], bound, out=np.zeros_like(bound), where=bound > 0)
    share = np.where(clock < 1.0, share * (stretch - 1), 0.0)
    found = of.copy()
    found[MATRIX] += of[MATRIX] * share
    found[VECTOR] += of[VECTOR] * share
    found[ENGINE_S] *= stretch
    found[ENGINE_J] *= np.maximum(clock, floor) ** 2
    return found


def clock_of(of: Floats, busy_s: Floats, card: Card) -> tuple[Floats, Floats]:
    """Per row the highest clock within the power limit, and the watts at it: `cost.clock_of`."""
    idle_w, limit_w = float(card.idle_w), float(card.tdp_w)
    share, power = np.ones_like(busy_s), np.full_like(busy_s, idle_w)
    works = busy_s > 0
    power[works] = _power_w(of[:, works], busy_s[works], share[works], card)
    over = np.flatnonzero(power > limit_w)
    if not len(over):
        return share, power
    hot, hot_s = of[:, over], busy_s[over]
    low, high = np.full(len(over), LEAST_CLOCK), np.ones(len(over))
    for _ in range(20):
        middle = (low + high) / 2
        fits = _power_w(hot, hot_s, middle, card) <= limit_w
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    share[over], power[over] = low, _power_w(hot, hot_s, low, card)
    return share, power


def _power_w(of: Floats, busy_s: Floats, clock: Floats, card: Card) -> Floats:
    volts = np.maximum(clock, float(card.pace.voltage_floor))
    time_s = np.maximum(busy_s, busy_s + of[ENGINE_S] * (1 / clock - 1))
    return np.asarray(card.idle_w + (of[ENGINE_J] * volts**2 + of[MEMORY_J]) / time_s)
