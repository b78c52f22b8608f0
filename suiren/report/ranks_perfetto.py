"""The steady step of many ranks as one Chrome trace: a process a rank, a track a stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from suiren.events.queue import HOST_STREAM
from suiren.events.span import Span
from suiren.report.page_spans import stream_name
from suiren.report.ranks import RanksAnswer
from suiren.trace.program import Program

#: Streams of collectives by number (see `suiren.torch.distributed.backend`).
_STREAMS = ((0x6000, "receives"), (0x5000, "sends"), (0x4000, "collectives"))


def ranks_trace_events(found: RanksAnswer) -> list[dict[str, Any]]:
    """Complete events in microseconds for every rank whose spans were kept."""
    events: list[dict[str, Any]] = []
    start = min((time.start_ps for time in found.times.values()), default=0)
    programs = {row.rank: row.program for row in found.rows}
    for rank, time in sorted(found.times.items()):
        program = programs[rank]
        name = f"rank {rank} of {found.world_size:,} ({found.cluster.card.title}, simulated)"
        events.append({"ph": "M", "pid": rank, "name": "process_name", "args": {"name": name}})
        for stream in sorted({s.stream for s in time.spans}):
            events.append(
                {"ph": "M", "pid": rank, "tid": stream, "name": "thread_name",
                 "args": {"name": _stream_name(stream)}}
            )  # fmt: skip
        events += [_event(span, rank, program, start) for span in time.spans]
    return events


def _stream_name(stream: int) -> str:
    low = stream & 0xFFFF
    if low == HOST_STREAM:
        return stream_name(stream)
    for first, name in _STREAMS:
        if low >= first:
            return f"{name} of group {low - first}"
    return stream_name(stream)


def _event(span: Span, rank: int, program: Program, start: int) -> dict[str, Any]:
    context = program.contexts[span.context]
    return {
        "ph": "X",
        "pid": rank,
        "tid": span.stream,
        "name": program.calls[span.call].op if span.kind == "op" else span.kind,
        "cat": span.kind,
        "ts": (span.start_ps - start) / 1e6,
        "dur": span.duration_ps / 1e6,
        "args": {"phase": context.phase, "module": context.path, "why": span.why},
    }


def write_ranks_trace(found: RanksAnswer, path: Path) -> None:
    """Writes the trace; times in it are simulated."""
    document = {"displayTimeUnit": "ms", "traceEvents": ranks_trace_events(found)}
    path.write_text(json.dumps(document))
