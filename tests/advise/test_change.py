"""Changes are simulated: an unchanged step keeps its time, a change is ranked by its gain."""

from __future__ import annotations

import pytest
from asked_lines import TRAINING, program

from suiren.advise.asked import asked_of, period_s
from suiren.advise.autocast import use_bf16
from suiren.advise.change import SMALLEST_GAIN_PERCENT, changes
from suiren.advise.rewrite import drop_syncs
from suiren.hw.catalog import CARDS
from suiren.mapper.memory import memory_use
from suiren.mapper.step import Prices, steady_step
from suiren.trace.program import Program
from suiren.units import PS_PER_S

LARGE = (
    TRAINING.replace("32", "4096")
    .replace("64", "8192")
    .replace("[8,", "[2048,")
    .replace(",8]", ",2048]")
)
STEPS = {
    "host-bound": TRAINING.replace("sync\n", ""),
    "synchronised": TRAINING,
    "device-bound": LARGE,
}


def case(name: str) -> Program:
    return program(STEPS[name].replace("f4096", "f32"), weights=(1,))


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("card", ["toy", "t21", "a100", "tpu-v5e"])
def test_an_unchanged_step_takes_what_the_clock_says(name: str, card: str) -> None:
    step = case(name)
    steady_ps = steady_step(step, Prices(step.calls, CARDS[card]), 0).period_ps
    assert period_s(asked_of(step, step.distinct[0]), CARDS[card]) == steady_ps / PS_PER_S


def told(name: str, card: str = "toy") -> dict:
    step = case(name)
    found = changes(step, step.distinct[0], CARDS[card], memory_use(step, step.distinct[0]))
    gains = [change.gain_percent for change in found]
    assert gains == sorted(gains, reverse=True)
    assert all(gain >= SMALLEST_GAIN_PERCENT for gain in gains)
    return {change.name: change for change in found}


@pytest.mark.parametrize("name", STEPS)
def test_a_gain_is_the_old_time_over_the_new(name: str) -> None:
    step = case(name)
    now_s = period_s(asked_of(step, step.distinct[0]), CARDS["toy"])
    for change in told(name).values():
        assert change.gain_percent == pytest.approx(100 * (now_s / change.step_time_s - 1))


def test_products_that_bound_a_step_gain_from_a_smaller_format() -> None:
    found = told("device-bound")
    step = case("device-bound")
    low = use_bf16(asked_of(step, step.distinct[0]), CARDS["toy"])
    assert found["BF16 autocast"].step_time_s == period_s(low, CARDS["toy"])
    assert 0 < found["TF32 products"].gain_percent < found["BF16 autocast"].gain_percent


def test_a_host_that_waits_gains_from_not_waiting() -> None:
    step = case("synchronised")
    free_s = period_s(drop_syncs(asked_of(step, step.distinct[0])), CARDS["toy"])
    assert told("synchronised")["fewer synchronisations"].step_time_s == free_s
    assert "fewer synchronisations" not in told("host-bound")


def test_a_card_without_a_format_gets_no_advice_to_use_it() -> None:
    assert "BF16 autocast" not in told("device-bound", "v100")
    assert "TF32 products" not in told("device-bound", "v100")
