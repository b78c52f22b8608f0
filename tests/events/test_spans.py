"""The spans of a device tile its timeline: no overlap, no unexplained gap."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from queue_rows import copy, kernel, op, ran, record, sync, wait

from suiren.events.queue import Queues
from suiren.events.span import Span

LAW = settings(derandomize=True, deadline=None, max_examples=200)
COSTS = [kernel(7, 2), kernel(100, 2), kernel(0, 3), copy(40), copy(300, 1), kernel(0, 0)]
row = st.one_of(
    st.builds(op, st.integers(0, 5), st.integers(0, 2)),
    st.builds(op, st.integers(0, 5), st.just(0)),
    st.builds(sync),
    st.builds(record, st.integers(0, 2), st.integers(0, 2)),
    st.builds(wait, st.integers(0, 2), st.integers(0, 2)),
)
rows = st.lists(row, min_size=1, max_size=30)


def tiles(spans: list[Span], start_ps: int = 0) -> None:
    """Each span begins where the one before it ended."""
    for span in spans:
        assert span.start_ps == start_ps, f"{span} should start at {start_ps}"
        assert span.end_ps >= span.start_ps
        start_ps = span.end_ps


@LAW
@given(rows=rows)
def test_no_instant_of_a_device_is_unexplained(rows: list) -> None:
    """Some span, gaps included, covers every instant until the device is done."""
    _, spans = ran(rows, COSTS)
    covered_ps = 0
    for span in sorted(spans, key=lambda span: span.start_ps):
        assert span.start_ps <= covered_ps, f"nothing is known from {covered_ps} to {span}"
        covered_ps = max(covered_ps, span.end_ps)


@LAW
@given(rows=rows)
def test_kernels_of_a_device_never_overlap(rows: list) -> None:
    _, spans = ran(rows, COSTS)
    copies = {s.event for s in spans if s.kind == "op" and s.why == "link"}
    ends = 0
    for span in (s for s in spans if s.event not in copies and s.kind != "idle"):
        assert span.start_ps >= ends
        ends = span.end_ps


@LAW
@given(rows=st.lists(st.one_of(st.builds(op, st.integers(0, 5)), st.builds(sync)), max_size=30))
def test_the_spans_of_a_single_stream_tile_it(rows: list) -> None:
    queues, spans = ran(rows, COSTS)
    tiles(spans)
    assert not spans or spans[-1].end_ps == queues.stream_ps[0]


@LAW
@given(rows=rows)
def test_spans_of_one_stream_never_overlap(rows: list) -> None:
    _, spans = ran(rows, COSTS)
    for stream in range(3):
        ends = 0
        for span in (s for s in spans if s.stream == stream and s.kind != "idle"):
            assert span.start_ps >= ends
            ends = span.end_ps


@LAW
@given(rows=rows)
def test_every_gap_has_a_cause_and_every_op_a_bound(rows: list) -> None:
    _, spans = ran(rows, COSTS)
    causes = {"idle": {"host", "event"}, "launch": {"launch"}, "op": {"memory", "link"}}
    assert all(span.why in causes[span.kind] for span in spans)
    assert all(span.duration_ps > 0 for span in spans if span.kind != "op")


@LAW
@given(rows=rows)
def test_writing_spans_changes_no_time(rows: list) -> None:
    with_spans, _ = ran(rows, COSTS)
    without = Queues(issue_ps=with_spans.issue_ps)
    without.run(rows, COSTS.__getitem__)
    assert without.lag() == with_spans.lag()
    assert without.host_ps == with_spans.host_ps


def test_a_gap_says_whether_the_host_or_an_event_was_late() -> None:
    slow_copy = [op(0, 1), record(7, 1), wait(7, 0), op(1, 0)]
    _, spans = ran(slow_copy, [copy(100), kernel(10)], issue_ps=5)
    gaps = [(s.why, s.start_ps, s.end_ps) for s in spans if s.kind == "idle" and s.stream == 0]
    assert gaps == [("event", 0, 105)]
    late = [op(0, 1), record(7, 1), *([op(2)] * 30), wait(7, 0), op(1, 0)]
    _, spans = ran(late, [copy(100), kernel(10), kernel(0, 0)], issue_ps=5)
    gaps = [(s.why, s.start_ps, s.end_ps) for s in spans if s.kind == "idle" and s.stream == 0]
    assert gaps[-1][0] == "host"
    assert sum(end - start for _, start, end in gaps) == 32 * 5
