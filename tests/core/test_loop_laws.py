"""The jump equals the unrolled definition to the picosecond, at a cost that trips do not change."""

from __future__ import annotations

import time

from any_ops import programs
from hypothesis import HealthCheck, given, settings

from suiren.core.loop import FILL, ISSUE, Duration, Nest, Op, State, run
from suiren.core.loop import AWAIT, LOAD, MATRIX, RELEASE, REPEAT, VECTOR
from suiren.core.unrolled import Definition

Program = tuple[tuple[Op, ...], list[Duration], list[int], list[int]]


def jumped(program: Program) -> State:
    ops, table, trips, buffers = program
    state = State.fresh(buffers)
    run(ops, state, table, trips)
    return state


@given(programs())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_jump_equals_the_unrolled_definition(program: Program) -> None:
    ops, table, trips, buffers = program
    plain = Definition(buffers)
    plain.run(ops, table, trips)
    state = jumped(program)
    assert state.end() == plain.end()
    assert state.free == list(plain.engine_free.values())
    assert state.ready == list(plain.ready.values())
    assert state.read == list(plain.in_use_until.values())
    assert state.slots == [list(s) for s in plain.free_slots.values()]


def double_buffered(trips: int) -> Program:
    body: tuple[Op, ...] = (
        (FILL, LOAD, 0, 0, ()),
        (FILL, LOAD, 1, 1, ()),
        (AWAIT, 0, 0, 0, ()),
        (AWAIT, 0, 0, 1, ()),
        (ISSUE, MATRIX, 2, 2, (0, 1)),
        (RELEASE, 0, 0, 0, ()),
        (RELEASE, 0, 0, 1, ()),
    )
    table = [Duration(100), Duration(80), Duration(150)]
    return ((REPEAT, Nest(body, 0)),), table, [trips], [2, 2, 1]


def test_a_double_buffered_loop_runs_at_the_pace_of_its_slowest_engine() -> None:
    assert jumped(double_buffered(1000)).end() == 180 * 1000 + 150


def test_the_cost_does_not_grow_with_the_trips() -> None:
    few, many = double_buffered(100), double_buffered(10**9)
    jumped(few)
    start = time.perf_counter()
    jumped(few)
    few_s = time.perf_counter() - start
    start = time.perf_counter()
    jumped(many)
    assert time.perf_counter() - start < 20 * few_s + 0.001


def test_engines_that_share_nothing_drift_apart_and_still_jump() -> None:
    body: tuple[Op, ...] = ((ISSUE, MATRIX, 0, 0, ()), (ISSUE, VECTOR, 1, 1, ()))
    program: Program = (
        ((REPEAT, Nest(body, 0)),), [Duration(7), Duration(11)], [10**9], [1, 1],
    )  # fmt: skip
    state = jumped(program)
    assert (state.free[MATRIX], state.free[VECTOR]) == (7 * 10**9, 11 * 10**9)
