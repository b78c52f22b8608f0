"""Schedules: closed forms where there are some, laws, and the jump equal to the whole."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.pipeline import Stages, _simulated, _total_ps, orders, pipeline_s, timeline

SCHEDULES = ("1f1b", "gpipe", "interleaved", "zero-bubble")


def even(p: int, v: int = 1, f: float = 1.0, b: float = 2.0, send: float = 0.0) -> Stages:
    return Stages(((f / v,) * v,) * p, ((b / v,) * v,) * p, send, 0.5)


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe"])
@pytest.mark.parametrize(("p", "m"), [(1, 5), (2, 2), (4, 8), (8, 64), (16, 16)])
def test_even_stages_take_the_textbook_time(schedule: str, p: int, m: int) -> None:
    assert pipeline_s(even(p), m, schedule) == pytest.approx((m + p - 1) * 3.0)


@pytest.mark.parametrize(("p", "v", "m"), [(4, 2, 8), (8, 3, 16), (4, 4, 32)])
def test_interleaving_divides_the_bubble(p: int, v: int, m: int) -> None:
    took = pipeline_s(even(p, v), m, "interleaved")
    assert took == pytest.approx((m + (p - 1) / v) * 3.0)


def test_the_last_stage_alone_bounds_long_steps() -> None:
    slow = Stages(((1.0,),) * 3 + ((2.0,),), ((2.0,),) * 3 + ((4.0,),))
    assert pipeline_s(slow, 100, "1f1b") == pytest.approx(100 * 6.0 + 3 * 3.0)


def test_zero_bubble_moves_weights_into_the_bubble() -> None:
    plain, moved = (pipeline_s(even(8), 16, s) for s in ("1f1b", "zero-bubble"))
    assert 16 * 3.0 < moved < plain


uneven = st.integers(1, 5).flatmap(
    lambda p: st.tuples(
        st.lists(st.integers(1, 9), min_size=p, max_size=p),
        st.lists(st.integers(1, 9), min_size=p, max_size=p), st.integers(0, 3),
    )
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(uneven, st.integers(1, 60), st.sampled_from(["1f1b", "gpipe", "zero-bubble"]))
def test_the_jump_equals_the_whole(
    made: tuple[list[int], list[int], int], m: int, schedule: str
) -> None:
    forward, backward, send = made
    stages = Stages(tuple((f / 8,) for f in forward), tuple((b / 8,) for b in backward), send / 8,
                    0.5)  # fmt: skip
    assert _total_ps(stages, m, schedule) == _simulated(stages, m, schedule).end_ps
    work = max(stages.work_s(s) for s in range(stages.count))
    assert pipeline_s(stages, m, schedule) >= m * work * (1 - 1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 4), st.integers(2, 3), st.integers(1, 9), st.integers(1, 9),
       st.integers(1, 24))  # fmt: skip
def test_the_jump_equals_the_whole_interleaved(p: int, v: int, f: int, b: int, n: int) -> None:
    stages = even(p, v, f / 4, b / 4, 0.25)
    whole = _simulated(stages, n * p, "interleaved").end_ps
    assert _total_ps(stages, n * p, "interleaved") == whole


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_pass_runs_once_and_no_stage_does_two_at_once(schedule: str) -> None:
    v = 2 if schedule == "interleaved" else 1
    stages = even(4, v, send=0.1)
    passes = [p for p in timeline(stages, 8, schedule) if p.kind != "W"]
    assert len(passes) == len({(p.stage, p.chunk, p.micro_batch, p.kind) for p in passes})
    assert len(passes) == 4 * v * 8 * 2
    for stage in range(4):
        own = sorted((p.start_s, p.end_s) for p in passes if p.stage == stage)
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(own))


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe"])
def test_a_stage_keeps_no_more_in_flight_than_the_schedule_says(schedule: str) -> None:
    for stage, order in enumerate(orders(4, 1, 12, schedule)):
        held = most = 0
        for *_, forward in order:
            held += 1 if forward else -1
            most = max(most, held)
        assert most == (12 if schedule == "gpipe" else 4 - stage)
        assert held == 0
