"""Steps that repeat are looked up, and the clock stands where a plain walk puts it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_rows import copy, host_wait, kernel, op, record, sync, wait

from suiren.events.queue import Cost, Queues
from suiren.hw.catalog import CARDS
from suiren.mapper.step import Clock, Prices, StepTime, steady_step
from suiren.trace.program import EVENT, LIVE, Program, Step

LAW = settings(derandomize=True, deadline=None, max_examples=200)
ISSUE_PS = round(CARDS["toy"].host_issue_s * 1e12)
UNIT = ISSUE_PS // 5
COSTS = [kernel(2 * UNIT), kernel(30 * UNIT, UNIT), copy(9 * UNIT), copy(70 * UNIT), kernel(0)]
row = st.one_of(
    st.builds(op, st.integers(0, 4), st.integers(0, 2)),
    st.builds(sync),
    st.builds(record, st.integers(0, 2), st.integers(0, 2)),
    st.builds(wait, st.integers(0, 2), st.integers(0, 2)),
    st.builds(host_wait, st.integers(0, 2)),
)
steps = st.lists(st.lists(row, min_size=1, max_size=8), min_size=1, max_size=3)


class Given(Prices):
    """Prices that are given, not worked out."""

    def __init__(self) -> None:
        super().__init__([], CARDS["toy"])

    def cost(self, call: int) -> Cost:
        return COSTS[call]


def step(rows: list) -> Step:
    return Step(np.array(rows, EVENT), np.zeros(0, np.int32), np.zeros(0, LIVE))


def walked(order: list[int], programs: list[list]) -> list[int]:
    """When each step is done, every event of every step taken one by one."""
    queues, ends = Queues(issue_ps=ISSUE_PS), []
    for key in order:
        queues.run(programs[key], COSTS.__getitem__)
        ends.append(queues.end_ps())
    return ends


def looked_up(order: list[int], programs: list[list]) -> list[int]:
    clock, ends = Clock(Given()), []
    for key in order:
        clock.run(key, step(programs[key]))
        ends.append(clock.queues.end_ps())
    return ends


@LAW
@given(programs=steps, order=st.lists(st.integers(0, 2), min_size=1, max_size=12))
def test_looking_up_a_step_equals_walking_it(programs: list, order: list[int]) -> None:
    order = [key % len(programs) for key in order]
    assert looked_up(order, programs) == walked(order, programs)


def test_an_event_that_lies_elsewhere_is_another_state() -> None:
    late = [op(3, 1), record(7, 1)]
    early = [record(7, 1), op(3, 1)]
    waiting = [wait(7, 0), op(0, 0), sync(), op(0, 0)]
    programs, order = [late, waiting, early, waiting], [0, 1, 2, 1]
    assert looked_up(order, programs) == walked(order, programs)


def walks_of(rows: list, times: int) -> int:
    """How many ops are looked at when a step runs so many times."""
    walks = 0

    class Counting(Given):
        def cost(self, call: int) -> Cost:
            nonlocal walks
            walks += 1
            return super().cost(call)

    clock = Clock(Counting())
    for _ in range(times):
        clock.run(0, step(rows))
    assert clock.queues.end_ps() == walked([0] * times, [rows])[-1]
    return walks


def test_equal_steps_of_a_host_that_waits_are_walked_a_few_times() -> None:
    assert walks_of([op(1), op(0), sync()], 100) <= 2 * 3


def test_equal_steps_of_a_slow_host_are_walked_a_few_times() -> None:
    assert walks_of([op(0), op(4)], 100) <= 2 * 3


@pytest.mark.xfail(strict=False, reason="B17: a host far ahead is a new state at every step")
def test_equal_steps_of_a_slow_device_are_walked_a_few_times() -> None:
    assert walks_of([op(1), op(0)], 100) <= 2 * 3


def steady(rows: list) -> StepTime:
    return steady_step(Program(distinct=[step(rows)], order=[0] * 5), Given(), 0)


@LAW
@given(rows=st.lists(row, min_size=1, max_size=8))
def test_the_period_is_what_one_more_step_takes(rows: list) -> None:
    ends = walked([0] * 40, [rows])
    periods = {b - a for a, b in pairwise(ends[20:])}
    if len(periods) == 1:
        assert steady(rows).period_ps == periods.pop()


#: A copy of 70 units on stream 1; kernels of 68 units on stream 0, which start later.
BESIDE = [op(3, 1), op(1), op(1), op(0), op(0), op(0)]


def test_a_period_is_taken_when_it_has_settled() -> None:
    """Stream 0 ends at 10 + 68 k, stream 1 at 5 + 70 k: the second leads from step 3 on."""
    assert steady(BESIDE).period_ps == 70 * UNIT


def test_the_slowest_stream_sets_the_period_however_late_it_leads() -> None:
    """Two views more on the host: 20 + 68 k and 5 + 70 k, the second leads from step 8 on."""
    assert steady([BESIDE[0], op(4), op(4), *BESIDE[1:]]).period_ps == 70 * UNIT


@LAW
@given(rows=st.lists(row, min_size=1, max_size=8))
def test_gaps_of_the_steady_step_begin_within_it(rows: list) -> None:
    found = steady(rows)
    gaps = [s for s in found.spans if s.kind == "idle"]
    longest = max(found.period_ps, found.end_ps - found.start_ps)
    assert all(gap.duration_ps <= longest for gap in gaps)


def test_the_first_gap_of_a_copy_stream_starts_at_its_last_copy() -> None:
    rows = [op(2, 1), sync(), op(0, 0), sync()]
    gap = next(s for s in steady(rows).spans if s.kind == "idle" and s.stream == 1)
    # after a copy: the host waits, issues a kernel, waits for it, issues the next copy
    assert gap.duration_ps == ISSUE_PS + 2 * UNIT + ISSUE_PS
