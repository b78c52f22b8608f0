"""The jump equals the unrolled definition to the picosecond, at a cost that trips do not change."""

from __future__ import annotations

import pytest
from any_ops import programs
from hypothesis import HealthCheck, given, settings

from suiren.core import compiled as compiled_room
from suiren.core.compiled import compiled
from suiren.core.loop import (
    AWAIT,
    FILL,
    ISSUE,
    LOAD,
    MATRIX,
    RELEASE,
    VECTOR,
    Duration,
    Op,
    flat,
    repeat,
)
from suiren.core.unrolled import Definition

#: Body, durations, trip counts (the outermost last), slots of each tile.
Program = tuple[tuple[Op, ...], list[Duration], list[int], list[int]]


def jumped(program: Program) -> dict[str, int]:
    body, table, trips, buffers = program
    nest = compiled(body, tuple(buffers))
    state = repeat(nest, trips[-1], nest.fresh(), flat(table), trips)
    return dict(zip(nest.names, state, strict=True))


def unrolled(program: Program) -> dict[str, int]:
    body, table, trips, buffers = program
    plain = Definition(buffers)
    for _ in range(trips[-1]):
        plain.run(body, table, trips)
    return plain.times()


def agree(program: Program) -> None:
    state, plain = jumped(program), unrolled(program)
    assert {name: plain[name] for name in state} == state


@given(programs())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_jump_equals_the_unrolled_definition(program: Program) -> None:
    agree(program)


@pytest.mark.slow
@given(programs())
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_jump_equals_it_for_many_more_programs(program: Program) -> None:
    agree(program)


def double_buffered(trips: int, load: int = 100, matrix: int = 150) -> Program:
    body: tuple[Op, ...] = (
        (FILL, LOAD, 0, 0, ()),
        (FILL, LOAD, 1, 1, ()),
        (AWAIT, 0, 0, 0, ()),
        (AWAIT, 0, 0, 1, ()),
        (ISSUE, MATRIX, 2, 2, (0, 1)),
        (RELEASE, 0, 0, 0, ()),
        (RELEASE, 0, 0, 1, ()),
    )
    return body, [Duration(load), Duration(80), Duration(matrix)], [trips], [2, 2, 1]


def test_a_double_buffered_loop_runs_at_the_pace_of_its_slowest_engine() -> None:
    assert max(jumped(double_buffered(1000)).values()) == 180 * 1000 + 150


def iterations_run(program: Program) -> int:
    """How many iterations were run one by one."""
    body, table, trips, buffers = program
    nest = compiled(body, tuple(buffers))
    count = 0

    def counted(*arguments: object) -> object:
        nonlocal count
        count += 1
        return nest.body(*arguments)  # type: ignore[arg-type]

    watched = type(nest)(nest.names, counted, nest.source)  # type: ignore[arg-type]
    repeat(watched, trips[-1], nest.fresh(), flat(table), trips)
    return count


def test_the_cost_does_not_grow_with_the_trips() -> None:
    assert iterations_run(double_buffered(10**9)) < 20


def test_nearly_balanced_engines_need_no_more_iterations() -> None:
    """The load engine wins its lead by 1 ps in 181 at each iteration: a long way to go."""
    program = double_buffered(10**9, matrix=181)
    assert iterations_run(program) < 30
    assert jumped(double_buffered(2000, matrix=181)) == {
        name: time for name, time in unrolled(double_buffered(2000, matrix=181)).items()
        if name in jumped(program)
    }  # fmt: skip


def test_engines_that_share_nothing_drift_apart_and_still_jump() -> None:
    body: tuple[Op, ...] = ((ISSUE, MATRIX, 0, 0, ()), (ISSUE, VECTOR, 1, 1, ()))
    program: Program = (body, [Duration(7), Duration(11)], [10**9], [1, 1])
    state = jumped(program)
    assert (state["e2"], state["e3"]) == (7 * 10**9, 11 * 10**9)
    assert iterations_run(program) < 10


def test_the_compiled_body_is_readable_python() -> None:
    nest = compiled(double_buffered(1)[0], (2, 2, 1))
    assert "e0 = t + d[0]" in nest.source
    assert compiled_room.__doc__
