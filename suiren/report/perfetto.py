"""The steady step as a Chrome trace, which Perfetto and chrome://tracing open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suiren.report.answer import Answer
from suiren.report.page_spans import stream_name
from suiren.trace.program import Kind


def trace_events(answer: Answer) -> list[dict[str, Any]]:
    """Complete events in microseconds, one track a stream, and a counter of memory."""
    program, start = answer.program, answer.time.start_ps
    events: list[dict[str, Any]] = [
        {
            "ph": "M",
            "pid": 0,
            "name": "process_name",
            "args": {"name": f"{answer.card.title} (simulated)"},
        }
    ]
    for stream in sorted({s.stream for s in answer.spans}):
        name = stream_name(stream)
        events.append(
            {"ph": "M", "pid": 0, "tid": stream, "name": "thread_name", "args": {"name": name}}
        )
    for span in answer.spans:
        context = program.contexts[span.context]
        name = program.calls[span.call].op if span.kind == "op" else span.kind
        arguments: dict[str, Any] = {
            "phase": context.phase,
            "module": context.path,
            "why": span.why,
        }
        if span.kind == "op":
            arguments["call"] = str(program.calls[span.call])
        events.append(
            {
                "ph": "X",
                "pid": 0,
                "tid": span.stream,
                "name": name,
                "cat": span.kind,
                "ts": (span.start_ps - start) / 1e6,
                "dur": span.duration_ps / 1e6,
                "args": arguments,
            }
        )
    return events + memory_counter(answer)


def memory_counter(answer: Answer) -> list[dict[str, Any]]:
    """Allocated bytes at the time of the op that follows each change."""
    start = answer.time.start_ps
    times = {
        span.event: (span.start_ps - start) / 1e6 for span in answer.spans if span.kind == "op"
    }
    rows, now = [], 0.0
    index_of = dict(answer.memory.curve)
    for index in range(len(answer.step.events)):
        now = times.get(index, now)
        if index in index_of and answer.step.events["kind"][index] in (Kind.ALLOC, Kind.FREE):
            rows.append({"ph": "C", "pid": 0, "name": "allocated", "ts": now,
                         "args": {"bytes": index_of[index]}})  # fmt: skip
    return rows


def write_trace(answer: Answer, path: Path) -> None:
    """Writes the trace; times in it are simulated."""
    path.write_text(json.dumps({"displayTimeUnit": "ms", "traceEvents": trace_events(answer)}))
