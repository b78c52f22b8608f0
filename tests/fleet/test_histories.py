"""What is drawn has the distribution that was stated."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from suiren.fleet.faults import Failures, Faults, Stragglers, WeakLinks
from suiren.fleet.histories import StepTime, draw_history
from suiren.hw.fact import Fact, assumed

RNG = np.random.default_rng


def said(value: float) -> Fact:
    return assumed(value, "the test says so")


def failing(shape: float, mean_s: float = 1000.0) -> Faults:
    return Faults(failures=(
        Failures(part="it", per="chip", mean_s=said(mean_s), shape=said(shape)),
    ))  # fmt: skip


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0])
def test_parts_fail_at_their_mean_rate(shape: float) -> None:
    history = draw_history(failing(shape), 50, 7, 400_000, 0)
    expected = 50 * 400
    assert len(history.failure_s) == pytest.approx(expected, rel=5 / sqrt(expected) / shape)
    assert (np.diff(history.failure_s) >= 0).all()


def test_a_small_shape_fails_early() -> None:
    early = [len(draw_history(failing(s), 2000, 250, 100, 0).failure_s) for s in (0.7, 1.0, 2.0)]
    assert early[0] > 1.5 * early[1] > 3 * early[2]


def test_a_fault_does_not_shift_the_draws_of_another() -> None:
    both = Faults(failures=failing(1.0).failures, weak_links=WeakLinks(mean_s=said(1e5)))
    alone, beside = (draw_history(f, 50, 7, 10_000, 5) for f in (failing(1.0), both))
    assert (alone.failure_s == beside.failure_s).all()


def test_weak_times_are_disjoint_and_as_long_as_queueing_theory_says() -> None:
    """Links as servers without end: none is weak with probability exp(−rate × duration)."""
    links = WeakLinks(mean_s=said(64_000), duration_s=said(500))
    history = draw_history(Faults(weak_links=links), 64, 8, 5e6, 1)
    assert (history.weak_start_s[1:] > history.weak_end_s[:-1]).all()
    weak = float((history.weak_end_s - history.weak_start_s).sum()) / 5e6
    assert weak == pytest.approx(1 - exp(-0.5), abs=0.02)


def test_slow_chips_are_counted_by_their_share() -> None:
    faults = Faults(stragglers=Stragglers(share=said(0.01)))
    counts = [draw_history(faults, 1000, 125, 1, seed).slow_chips for seed in range(200)]
    assert np.mean(counts) == pytest.approx(10, abs=1)


@pytest.mark.parametrize(("chips", "slow"), [(1, 0), (64, 0), (4096, 0), (64, 3)])
def test_the_slowest_rank_is_what_drawing_every_rank_gives(chips: int, slow: int) -> None:
    step, rng = StepTime(0.03, chips, slow, 1.1), RNG(0)
    factors = np.exp(0.03 * rng.standard_normal((3000, chips)))
    factors[:, :slow] *= 1.1
    largest = factors.max(axis=1)
    error = largest.std() / sqrt(len(largest))
    assert abs(step.mean - largest.mean()) < 4 * error
    assert step.deviation == pytest.approx(largest.std(), rel=0.1)
    drawn = step.sums(1, 20_000, RNG(1))
    quantiles = [0.05, 0.5, 0.95]
    assert np.quantile(drawn, quantiles) == pytest.approx(np.quantile(largest, quantiles), rel=5e-3)


def test_a_sum_of_many_steps_has_the_mean_and_spread_of_few() -> None:
    step = StepTime(0.05, 32)
    many = step.sums(400, 4000, RNG(2))
    assert many.mean() == pytest.approx(400 * step.mean, rel=1e-3)
    assert many.std() == pytest.approx(20 * step.deviation, rel=0.1)


def test_without_jitter_a_step_is_what_was_stated() -> None:
    assert StepTime(0.0, 4096).mean == 1
    assert StepTime(0.0, 4096, 2, 1.25).mean == 1.25
    assert StepTime(0.1, 1).mean == pytest.approx(exp(0.005), rel=1e-4)
