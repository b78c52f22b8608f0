"""Who waits for whom: streams in order, engines shared, the host ahead until it waits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_rows import DEVICE_1, copy, host_wait, kernel, op, ops_of, ran, record, sync, wait

ISSUE, LAUNCH = 5, 2
LAW = settings(derandomize=True, deadline=None, max_examples=100)
costs = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), min_size=1, max_size=30)


def test_an_op_starts_when_it_is_issued_and_launched() -> None:
    queues, spans = ran([op(0)], [kernel(10, LAUNCH)], ISSUE)
    assert ops_of(spans) == [(ISSUE + LAUNCH, ISSUE + LAUNCH + 10)]
    assert queues.end_ps() == ISSUE + LAUNCH + 10
    assert queues.host_ps == ISSUE


def test_a_stream_is_in_order() -> None:
    _, spans = ran([op(0), op(1)], [kernel(100), kernel(3)], ISSUE)
    assert ops_of(spans) == [(5, 105), (105, 108)]


def test_every_op_pays_its_launch() -> None:
    queues, spans = ran([op(0)] * 4, [kernel(100, LAUNCH)], ISSUE)
    assert queues.end_ps() == ISSUE + 4 * (LAUNCH + 100)
    assert [s.duration_ps for s in spans if s.kind == "launch"] == [LAUNCH] * 4


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_slow_device_is_busy_without_a_gap(n: int) -> None:
    queues, _ = ran([op(0)] * n, [kernel(7, LAUNCH)], ISSUE)
    assert queues.end_ps() == ISSUE + n * (7 + LAUNCH)


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_slow_host_leaves_the_device_waiting(n: int) -> None:
    queues, _ = ran([op(0)] * n, [kernel(1, LAUNCH)], ISSUE)
    assert queues.end_ps() == n * ISSUE + 1 + LAUNCH


@LAW
@given(costs=costs, issue_ps=st.integers(0, 30))
def test_one_stream_ends_when_its_longest_chain_does(costs: list, issue_ps: int) -> None:
    """Max-plus: the end is the longest path of some ops issued and the rest worked off."""
    queues, _ = ran([op(i) for i in range(len(costs))], [kernel(*c) for c in costs], issue_ps)
    lengths = [sum(c) for c in costs]
    chains = [(i + 1) * issue_ps + sum(lengths[i:]) for i in range(len(costs))]
    assert queues.end_ps() == max(chains)


def test_a_view_costs_the_host_only() -> None:
    queues, spans = ran([op(0), op(0)], [kernel(0, 0)], ISSUE)
    assert spans == []
    assert (queues.host_ps, queues.end_ps()) == (2 * ISSUE, 2 * ISSUE)


def test_a_synchronisation_holds_the_host_until_the_device_is_done() -> None:
    queues, spans = ran([op(0), sync(), op(0)], [kernel(100)], ISSUE)
    assert ops_of(spans) == [(5, 105), (105 + ISSUE, 205 + ISSUE)]
    assert queues.host_ps == 105 + ISSUE


def test_a_synchronisation_waits_for_all_streams_of_its_device() -> None:
    queues, _ = ran([op(0, 1), op(1, 2), sync(0)], [kernel(10), copy(500)], ISSUE)
    assert queues.host_ps == 2 * ISSUE + 500


def test_a_synchronisation_does_not_wait_for_another_device() -> None:
    queues, _ = ran([op(0, DEVICE_1), sync(0)], [kernel(500)], ISSUE)
    assert queues.host_ps == ISSUE


def test_devices_run_beside_each_other() -> None:
    queues, _ = ran([op(0, 0), op(0, DEVICE_1)], [kernel(100)], ISSUE)
    assert queues.end_ps() == 2 * ISSUE + 100


def test_kernels_of_two_streams_share_the_engines_of_their_device() -> None:
    queues, _ = ran([op(0, 0), op(0, 1)], [kernel(100)], ISSUE)
    assert queues.end_ps() == ISSUE + 2 * 100


def test_a_copy_runs_beside_a_kernel_of_another_stream() -> None:
    queues, spans = ran([op(0, 0), op(1, 1)], [kernel(100), copy(80)], ISSUE)
    assert ops_of(spans) == [(5, 105), (10, 90)]
    assert queues.end_ps() == 105


def test_a_copy_waits_for_a_kernel_of_its_own_stream() -> None:
    _, spans = ran([op(0), op(1), op(0)], [kernel(100), copy(80)], ISSUE)
    assert ops_of(spans) == [(5, 105), (105, 185), (185, 285)]


def test_copies_of_two_streams_share_the_link() -> None:
    queues, _ = ran([op(0, 1), op(0, 2)], [copy(100)], ISSUE)
    assert queues.end_ps() >= ISSUE + 2 * 100


def test_a_stream_waits_for_what_was_recorded_on_another() -> None:
    rows = [op(0, 1), record(7, 1), wait(7, 0), op(1, 0)]
    _, spans = ran(rows, [copy(100), kernel(10)], ISSUE)
    assert ops_of(spans) == [(5, 105), (105, 115)]


def test_an_event_is_where_its_stream_stood_when_it_was_recorded() -> None:
    rows = [op(0, 1), record(7, 1), op(0, 1), wait(7, 0), op(1, 0)]
    _, spans = ran(rows, [copy(100), kernel(10)], ISSUE)
    assert ops_of(spans) == [(5, 105), (105, 205), (105, 115)]


def test_the_host_waits_for_an_event_and_not_for_what_follows_it() -> None:
    rows = [op(0), record(7), op(0), host_wait(7)]
    queues, _ = ran(rows, [kernel(100)], ISSUE)
    assert queues.host_ps == ISSUE + 100
    assert queues.end_ps() == ISSUE + 200


def test_an_event_that_was_never_recorded_holds_nobody() -> None:
    queues, spans = ran([wait(3), host_wait(3), op(0)], [kernel(10)], ISSUE)
    assert ops_of(spans) == [(5, 15)]
    assert queues.host_ps == ISSUE
