"""What a power limit and a collective beside kernels take: one rule each, one cost or many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from suiren.fleet.cost import COLLECTIVE_CORES, LEAST_CLOCK, Cost, clock_of, lost_to_cores_s
from suiren.fleet.costs import at_clock
from suiren.fleet.costs import clock_of as clocks_of
from suiren.hw.catalog import CARDS
from suiren.hw.fact import assumed
from suiren.hw.spec import Card


def with_floor(share: float) -> Card:
    card = CARDS["a100"]
    return replace(card, pace=replace(card.pace, voltage_floor=assumed(share, "for this test")))


def hot(card: Card, times: float = 3.0) -> Cost:
    """Work that at full clock draws `times` what the limit leaves its engines."""
    return Cost(matrix_s=1.0, engine_s=1.0, engine_j=times * (card.tdp_w - card.idle_w))


@pytest.mark.parametrize("floor", [0.3, 0.8, 1.0])
def test_the_power_at_the_clock_of_a_limit_is_the_limit(floor: float) -> None:
    card = with_floor(floor)
    cost, clock = hot(card), clock_of(hot(card), 1.0, card)
    held = cost.at_clock(clock.share, floor)
    watts = card.idle_w + held.dynamic_j / held.seconds
    assert watts == pytest.approx(clock.power_w) == pytest.approx(card.tdp_w, rel=1e-4)


def test_below_the_least_voltage_power_goes_with_the_clock() -> None:
    assert clock_of(hot(with_floor(1.0)), 1.0, with_floor(1.0)).share == pytest.approx(1 / 3, 1e-4)
    free = clock_of(hot(with_floor(LEAST_CLOCK)), 1.0, with_floor(LEAST_CLOCK)).share
    assert free == pytest.approx((1 / 3) ** (1 / 3), 1e-4)


@pytest.mark.parametrize("floor", [0.3, 0.8, 1.0])
def test_many_costs_take_the_clock_of_each(floor: float) -> None:
    card = with_floor(floor)
    costs = [hot(card, times) for times in (0.5, 1.5, 3.0)]
    rows = np.array([one.values() for one in costs]).T
    share, power_w = clocks_of(rows, np.ones(3), card)
    alone = [clock_of(one, 1.0, card) for one in costs]
    assert share.tolist() == [one.share for one in alone]
    assert power_w.tolist() == pytest.approx([one.power_w for one in alone], rel=1e-12)
    held = [one.at_clock(c.share, floor).values() for one, c in zip(costs, alone, strict=True)]
    assert np.allclose(at_clock(rows, share, floor).T, np.array(held), rtol=1e-12)


@pytest.mark.parametrize("name", ["t21", "ascend910b", "gaudi2", "tpu-v4"])
def test_chips_with_engines_for_it_lose_no_cores_to_a_collective(name: str) -> None:
    assert lost_to_cores_s(1.0, CARDS[name]) == 0.0


@pytest.mark.parametrize("name", ["h100", "mi300x"])
def test_gpus_lose_the_cores_that_copy(name: str) -> None:
    card = CARDS[name]
    assert lost_to_cores_s(2.0, card) == 2 * COLLECTIVE_CORES / (card.cores - COLLECTIVE_CORES)
