"""Which step is the steady one, and how many came before it."""

from __future__ import annotations

import numpy as np
import pytest

from suiren.trace.program import EVENT, LIVE, Kind, Program, Step


def step(num_ops: int) -> Step:
    rows = [(Kind.OP, 0, 0, 0, 0)] * num_ops + [(Kind.SYNC, 0, 0, 0, 0)]
    return Step(np.array(rows, EVENT), np.zeros(0, np.int32), np.zeros(0, LIVE))


def program(order: list[int], rest: Step | None = None) -> Program:
    return Program(distinct=[step(n + 1) for n in range(4)], order=order, rest=rest)


@pytest.mark.parametrize(("order", "steady", "warm_up"), [
    ([], None, 0),
    ([0], 0, 0),
    ([0, 0], 0, 0),
    ([0, 1], 1, 1),
    ([0, 1, 1], 1, 1),
    ([0, 1, 1, 1, 2], 1, 1),
    ([0, 1, 2], 2, 2),  # nothing repeats: the last
    ([0, 1, 1, 2, 2], 2, 3),  # the later among equals
    ([0, 1, 2, 2, 1, 1], 1, 1),
    ([0, 0, 1, 0, 0], 0, 0),
    ([0, 1, 2, 3, 2, 3, 2, 3], 3, 3),
    ([1, 0, 0], 0, 1),
])  # fmt: skip
def test_the_steady_step_repeats_most(order: list[int], steady: int | None, warm_up: int) -> None:
    assert program(order).steady() == steady
    assert program(order).num_warm_up() == warm_up


def test_the_first_step_does_not_vote() -> None:
    """It sets up: that a later one equals it does not make it the steady one."""
    assert program([0, 0, 1]).steady() == 1
    assert program([0, 0, 1, 1]).steady() == 1


def test_all_steps_come_in_order_and_a_rest_last() -> None:
    assert [s.num_ops for s in program([0, 1, 1]).all_steps()] == [1, 2, 2]
    assert [s.num_ops for s in program([0, 1, 1], step(7)).all_steps()] == [1, 2, 2, 7]
    empty = Step(np.zeros(0, EVENT), np.zeros(0, np.int32), np.zeros(0, LIVE))
    assert [s.num_ops for s in program([0], empty).all_steps()] == [1]


def test_ops_are_counted_without_other_events() -> None:
    assert step(5).num_ops == 5
    assert len(step(5).events) == 6
