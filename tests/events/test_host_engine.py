"""The host computes: what was issued goes on, nothing more is issued meanwhile."""

from __future__ import annotations

from queue_rows import DEVICE_1, kernel, op, ops_of, ran, record, sync

from suiren.events.queue import HOST, HOST_STREAM, Cost, Queues

ISSUE, WORK = 5, 50


def on_host(busy_ps: int = WORK) -> Cost:
    return Cost(busy_ps, 0, "host work", HOST)


def test_the_card_goes_on_beside_the_host() -> None:
    queues, spans = ran([op(0), op(1)], [kernel(100), on_host()], ISSUE)
    assert ops_of(spans) == [(ISSUE, ISSUE + 100), (ISSUE, ISSUE + WORK)]
    assert queues.host_ps == ISSUE + WORK and queues.end_ps() == ISSUE + 100


def test_the_card_waits_for_what_the_host_has_not_issued() -> None:
    _, spans = ran([op(0), op(1), op(0)], [kernel(10), on_host()], ISSUE)
    second = ISSUE + WORK + ISSUE
    assert ops_of(spans)[-1] == (second, second + 10)
    (gap,) = (s for s in spans if s.kind == "idle" and s.start_ps)
    assert (gap.why, gap.start_ps, gap.end_ps) == ("host", ISSUE + 10, second)


def test_the_host_computes_on_what_it_waited_for() -> None:
    queues, spans = ran([op(0), sync(), op(1)], [kernel(100), on_host()], ISSUE)
    assert ops_of(spans)[-1] == (ISSUE + 100, ISSUE + 100 + WORK)
    assert queues.end_ps() == ISSUE + 100 + WORK


def test_its_spans_stand_on_a_track_of_its_own() -> None:
    _, spans = ran([op(1, 3), op(1, DEVICE_1)], [kernel(1), on_host()], ISSUE)
    assert [s.stream for s in spans] == [3 | HOST_STREAM, DEVICE_1 | HOST_STREAM]
    assert {s.why for s in spans} == {"host work"}


def test_an_event_recorded_after_it_is_later() -> None:
    queues = Queues(issue_ps=ISSUE)
    queues.run([record(1), op(0), record(2)], [on_host()].__getitem__)
    assert queues.event_ps[2] - queues.event_ps[1] == WORK
