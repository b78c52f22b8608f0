"""A month of training: the laws that any run obeys, and what it agrees with."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.fault_rates import RATES
from suiren.fleet.faults import (
    Failures,
    Faults,
    Jitter,
    Recovery,
    Stragglers,
    WeakLinks,
)
from suiren.fleet.goodput import PARTS, Checkpoint, Goodput, Job, follow, simulate
from suiren.fleet.histories import given_history
from suiren.fleet.interval import best_interval, daly_s, expected_share, runs, young_s
from suiren.hw.fact import Fact, assumed

NOTHING = Faults()
DAY = 86400.0


def said(value: float) -> Fact:
    return assumed(value, "the test says so")


def one_part(mean_s: float, takes_node: bool = False) -> Faults:
    return Faults(failures=(
        Failures(part="it", per="job", mean_s=said(mean_s), takes_node=takes_node),
    ))  # fmt: skip


def job(every: int = 60, pause_s: float = 30, lag_s: float = 0, load_s: float = 100) -> Job:
    return Job(chips=64, chips_per_node=8, step_s=10,
               checkpoint=Checkpoint(every_steps=every, pause_s=pause_s, lag_s=lag_s,
                                     load_s=load_s))  # fmt: skip


EVERYTHING = Faults(
    failures=RATES["llama3"],
    jitter=Jitter(sigma=said(0.01)),
    stragglers=Stragglers(share=said(0.01), slowdown=said(1.05)),
    weak_links=WeakLinks(mean_s=said(64 * DAY), duration_s=said(3600)),
)


def is_whole(run: Goodput) -> None:
    assert set(run.spent_s) == set(PARTS)
    assert sum(run.spent_s.values()) == pytest.approx(run.horizon_s, rel=1e-9)
    assert min(run.spent_s.values()) >= -1e-6
    at = 0.0
    for period in run.periods:
        assert period.start_s == pytest.approx(at, abs=1e-3)
        at = period.end_s
    assert at == pytest.approx(run.horizon_s)


@given(
    seed=st.integers(0, 10**6), every=st.integers(1, 500), pause=st.floats(0, 100),
    lag=st.floats(0, 3000), spares=st.integers(0, 2), factor=st.floats(1, 3000),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_parts_sum_to_the_whole_and_the_periods_tile_it(
    seed: int, every: int, pause: float, lag: float, spares: int, factor: float
) -> None:
    one = replace(job(every, pause, lag), communication_share=0.2)
    is_whole(simulate(one, EVERYTHING.times(factor), Recovery(spare_nodes=spares), 20 * DAY, seed))


@given(
    times=st.lists(st.floats(1, 9 * DAY), max_size=12), more=st.floats(1, 9 * DAY),
    every=st.integers(1, 300), lag=st.sampled_from([0.0, 500.0, 4000.0]),
    takes_node=st.booleans(), spares=st.integers(0, 2),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_one_more_failure_never_gives_more(
    times: list[float], more: float, every: int, lag: float, takes_node: bool, spares: int
) -> None:
    faults, recovery = one_part(1.0, takes_node), Recovery(spare_nodes=spares)

    def steps(failures: list[float]) -> float:
        history = given_history([(t, 0) for t in sorted(failures)])
        return follow(job(every, lag_s=lag), faults, recovery, 10 * DAY, history).steps

    assert steps([*times, more]) <= steps(times) + 1e-6


def test_failing_more_often_gives_less_on_average() -> None:
    shares = [
        statistics.fmean(r.share for r in runs(job(), one_part(DAY).times(f), Recovery(),
                                               60 * DAY, range(20)))
        for f in (0.1, 1, 3, 10)
    ]  # fmt: skip
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1] + 0.05


def test_without_faults_only_checkpoints_cost() -> None:
    whole = 100 * 630.0
    run = simulate(job(), NOTHING, Recovery(), whole)
    assert run.steps == pytest.approx(6000)
    assert run.share == pytest.approx(600 / 630)
    assert run.spent_s["checkpoints"] == pytest.approx(3000)
    assert run.num_failures == 0


def test_a_stated_failure_costs_what_it_must() -> None:
    """By hand: 630 s a cycle; it fails at 1000 s, 370 s into the second."""
    recovery = Recovery(detect_s=said(50), restart_s=said(200))
    run = follow(job(), one_part(1.0), recovery, 1350 + 630, given_history([(1000.0, 0)]))
    assert run.spent_s == pytest.approx({
        "training": 1200, "checkpoints": 60, "lost work": 370, "detection": 50, "restart": 300,
        "jitter": 0, "slow chips": 0, "weak links": 0, "waiting for a node": 0,
    })  # fmt: skip


def test_a_failure_before_a_background_write_is_safe_goes_back_one_more() -> None:
    recovery = Recovery(detect_s=said(0), restart_s=said(0))
    one = job(pause_s=0, lag_s=100, load_s=0)
    failed = [follow(one, one_part(1.0), recovery, 2000, given_history([(t, 0)])).steps
              for t in (699.0, 701.0)]  # fmt: skip
    assert failed == pytest.approx([(2000 - 699) / 10, 60 + (2000 - 701) / 10])


def test_a_node_is_waited_for_until_the_first_is_repaired() -> None:
    recovery = Recovery(detect_s=said(10), restart_s=said(0), repair_s=said(1000), spare_nodes=1)
    failures = [(100.0, 0), (200.0, 0)]
    run = follow(job(load_s=0), one_part(1.0, True), recovery, 5000, given_history(failures))
    # the spare takes the first place; the second waits for the first node's return at 1110 s
    assert run.spent_s["waiting for a node"] == pytest.approx(1110 - 210)


@pytest.mark.parametrize("mean_h", [2, 12])
def test_the_mean_of_many_runs_is_dalys_model(mean_h: float) -> None:
    mtbf_s = mean_h * 3600.0
    recovery = Recovery(detect_s=said(100), restart_s=said(500))
    shares = [r.share for r in runs(job(), one_part(mtbf_s), recovery, 60 * DAY, range(150))]
    error = statistics.stdev(shares) / len(shares) ** 0.5
    expected = expected_share(600, 30, 700, mtbf_s)
    assert error < 0.002
    assert abs(statistics.fmean(shares) - expected) < 3.5 * error


def test_a_weak_link_stretches_what_waits_for_it() -> None:
    """Links that are always weak: the job's clock runs at 1 / (1 + 0.3) throughout."""
    always = Faults(weak_links=WeakLinks(mean_s=said(1e4), bandwidth_left=said(0.5),
                                         duration_s=said(1e6)))  # fmt: skip
    run = simulate(replace(job(), communication_share=0.3), always, Recovery(), 30 * DAY)
    assert run.share * 1.3 * 630 / 600 == pytest.approx(1, rel=1e-3)


def test_the_best_interval_is_near_dalys_and_no_formula_beats_it() -> None:
    faults, recovery = one_part(6 * 3600.0), Recovery()
    one, seeds = job(pause_s=60), range(12)
    best = best_interval(one, faults, recovery, 30 * DAY, seeds)
    daly = daly_s(60, 6 * 3600.0)
    assert 0.5 < best.every_steps * one.step_s / daly < 2
    saving = replace(one, checkpoint=replace(one.checkpoint, every_steps=round(daly / 10)))
    at_daly = statistics.fmean(r.share for r in runs(saving, faults, recovery, 30 * DAY, seeds))
    assert best.share >= at_daly - 1e-3
    assert young_s(60, 6 * 3600.0) > daly


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    first, again, other = (
        simulate(job(), EVERYTHING.times(500), Recovery(), 10 * DAY, seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first.share != other.share


def test_cost_grows_with_failures_not_with_steps() -> None:
    def least_s(step_s: float) -> float:
        one = replace(job(every=round(600 / step_s)), step_s=step_s)
        found = []
        for _ in range(3):
            start = time.process_time()
            simulate(one, EVERYTHING.times(100), Recovery(), 60 * DAY)
            found.append(time.process_time() - start)
        return min(found)

    assert least_s(0.01) < 5 * least_s(10) + 0.01
