"""Rows of a step in few words, and a queue that runs them."""

from __future__ import annotations

from collections.abc import Sequence

from suiren.events.queue import COPIES, Cost, Queues
from suiren.events.span import Span
from suiren.trace.program import Kind

Row = tuple[int, int, int, int, int]
DEVICE_1 = 1 << 16


def op(what: int, stream: int = 0) -> Row:
    return (Kind.OP, what, 0, stream, 0)


def sync(stream: int = 0) -> Row:
    return (Kind.SYNC, 0, 0, stream, 0)


def record(event: int, stream: int = 0) -> Row:
    return (Kind.RECORD, event, 0, stream, 0)


def wait(event: int, stream: int = 0) -> Row:
    return (Kind.WAIT, event, 0, stream, 0)


def host_wait(event: int) -> Row:
    return (Kind.HOST_WAIT, event, 0, 0, 0)


def kernel(busy_ps: int, launch_ps: int = 0) -> Cost:
    return Cost(busy_ps, launch_ps, "memory")


def copy(busy_ps: int, launch_ps: int = 0) -> Cost:
    return Cost(busy_ps, launch_ps, "link", COPIES)


def ran(rows: Sequence[Row], costs: Sequence[Cost], issue_ps: int = 5) -> tuple[Queues, list[Span]]:
    """The queues after the rows, and the spans they left."""
    queues, spans = Queues(issue_ps=issue_ps), []
    queues.run(rows, costs.__getitem__, spans)
    return queues, spans


def ops_of(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """(start, end) of every op, its launch not counted."""
    return [(s.start_ps, s.end_ps) for s in spans if s.kind == "op"]
