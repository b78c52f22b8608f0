"""Goodput beside runs that others described; only the failure rates were read off them."""

from __future__ import annotations

import statistics

import pytest

from suiren.fleet import fault_rates as rates
from suiren.fleet.faults import Faults, Recovery
from suiren.fleet.goodput import Checkpoint, Job
from suiren.fleet.interval import best_interval, runs

DAY = 86400.0


def test_llama3_keeps_more_than_nine_tenths_at_a_failure_every_three_hours() -> None:
    faults = Faults(failures=rates.LLAMA3)
    # 405B parameters: BF16 weights, FP32 master and moments, 14 bytes each, at 2 TB/s
    write_s = 405e9 * 14 / 2e12
    job = Job(chips=16384, chips_per_node=8, step_s=10,
              checkpoint=Checkpoint(every_steps=30, pause_s=write_s, load_s=write_s))  # fmt: skip
    found = runs(job, faults, Recovery(spare_nodes=64), 54 * DAY, range(10))
    assert statistics.fmean(r.num_failures for r in found) == pytest.approx(
        float(rates.LLAMA3_INTERRUPTIONS), rel=0.05
    )
    assert min(r.share for r in found) > rates.LLAMA3_GOODPUT_ABOVE


def test_the_rate_of_one_cluster_gives_the_time_between_failures_it_projects() -> None:
    rate_per_s = Faults(failures=rates.RSC1).rate_per_s(16384, 2048)
    assert 1 / rate_per_s == pytest.approx(float(rates.RSC1_MTTF_16K_S), rel=0.02)


def test_bloom_loses_an_hour_and_a_half_a_crash() -> None:
    step_s, save_s = float(rates.BLOOM_STEP_S), float(rates.BLOOM_CHECKPOINT_S)
    job = Job(chips=384, chips_per_node=8, step_s=step_s,
              checkpoint=Checkpoint(every_steps=100, pause_s=save_s, load_s=save_s))  # fmt: skip
    found = runs(job, Faults(failures=rates.BLOOM), Recovery(spare_nodes=4), 105 * DAY, range(40))
    lost_s = sum(r.spent_s["lost work"] for r in found) / sum(r.num_failures for r in found)
    assert lost_s == pytest.approx(float(rates.BLOOM_LOST_S), rel=0.1)
    assert statistics.fmean(r.share for r in found) > 0.97


def test_ten_thousand_chips_with_quick_recovery_reach_what_two_others_report() -> None:
    """MegaScale: over 90 % with over 100 recoveries; ByteRobust: 97 % on 9,600 in three months."""
    job = Job(chips=9600, chips_per_node=8, step_s=10,
              checkpoint=Checkpoint(every_steps=1, pause_s=0.1, lag_s=5, load_s=5))  # fmt: skip
    faults, recovery = Faults(failures=rates.LLAMA3), Recovery(spare_nodes=40)
    best = best_interval(job, faults, recovery, 90 * DAY, range(2))
    assert best.share > rates.MEGASCALE_GOODPUT_ABOVE
    assert best.share == pytest.approx(float(rates.BYTEROBUST_GOODPUT), abs=0.02)
