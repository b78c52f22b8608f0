"""The timeline's data: spans as columns of whole numbers, repeated shapes of a span kept once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from suiren.events.queue import HOST_STREAM
from suiren.events.span import Span
from suiren.report.answer import Answer, Row
from suiren.trace.program import Program
from suiren.units import PS_PER_S

#: Records a page keeps; a longer step is cut at its end, and the page says so.
MAX_RECORDS = 400_000
#: Characters of a call's text that a page keeps.
MAX_TEXT = 360


def shorten(text: str) -> str:
    """Cut the text to `MAX_TEXT` characters."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


@dataclass(slots=True)
class _Track:
    """One stream: which shape each record has, and its distance from the one before, ps."""

    stream: int
    cursor_ps: int
    shapes: list[int] = field(default_factory=list)
    gaps_ps: list[int] = field(default_factory=list)
    launch: Span | None = None


def timeline(answer: Answer) -> dict[str, Any]:
    """Tracks of records; an op and its launch are one record. Times in picoseconds.

    A shape is (call, context, why, launch ps, busy ps); a gap's call is -1.
    """
    writer = SpanWriter()
    writer.begin(answer.program, answer.time.start_ps, answer.shapes)
    for span in answer.spans:
        writer.add(span)
    return writer.document(answer.time.period_ps)


def stream_name(stream: int) -> str:
    """A track as a reader knows it: a stream of a device, or its host."""
    if stream & 0xFFFF == HOST_STREAM:
        return "host" if stream == HOST_STREAM else f"host of gcu:{stream >> 16}"
    return f"gcu:{stream >> 16} stream {stream & 0xFFFF}"


class SpanWriter:
    """Interns calls, contexts and shapes while spans are added in the order they ran."""

    def __init__(self) -> None:
        self.tracks: dict[tuple[int, int], _Track] = {}
        self.shapes: dict[tuple[int, int, str, int, int], int] = {}
        self.calls: list[list[Any]] = []
        self.contexts: list[list[str]] = []
        self.kept = self.dropped = 0
        self._rank = -1

    def begin(
        self, program: Program, start_ps: int, rows: Sequence[Row], rank: int = -1
    ) -> None:
        """The spans that follow are of this program, and of this rank if there are many."""
        self.program, self.start_ps, self._rank = program, start_ps, rank
        self._call_of: dict[int, int] = {-1: -1}
        self._context_of: dict[int, int] = {}
        self._roofline_s = {r.name: r.roofline_s / r.calls for r in rows if r.calls}

    def document(self, period_ps: int) -> dict[str, Any]:
        """What was added, tracks by rank and stream."""
        return {
            "period_ps": period_ps,
            "tracks": [
                {"name": stream_name(t.stream), "rank": rank, "shapes": t.shapes,
                 "gaps_ps": t.gaps_ps}
                for (rank, _), t in sorted(self.tracks.items())
            ],
            "shapes": [list(shape) for shape in self.shapes],
            "calls": self.calls,
            "contexts": self.contexts,
            "num_records": self.kept,
            "num_dropped": self.dropped,
        }  # fmt: skip

    def add(self, span: Span) -> None:
        """The next span of the program that was begun."""
        key = (self._rank, span.stream)
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = _Track(span.stream, self.start_ps)
        if span.kind == "launch":
            track.launch = span
            return
        start_ps = max(span.start_ps, self.start_ps) if span.kind == "idle" else span.start_ps
        launch, track.launch = track.launch, None
        launch_ps = launch.duration_ps if launch is not None and launch.event == span.event else 0
        busy_ps = span.end_ps - start_ps
        if busy_ps + launch_ps <= 0:
            return
        if self.kept >= MAX_RECORDS:
            self.dropped += 1
            return
        self.kept += 1
        call = -1 if span.kind == "idle" else span.call
        shape = (self._call(call), self._context(span.context), span.why, launch_ps, busy_ps)
        track.shapes.append(self.shapes.setdefault(shape, len(self.shapes)))
        track.gaps_ps.append(start_ps - launch_ps - track.cursor_ps)
        track.cursor_ps = span.end_ps

    def _call(self, call: int) -> int:
        found = self._call_of.get(call)
        if found is None:
            asked = self.program.calls[call]
            text = str(asked)
            roofline_ps = round(self._roofline_s.get(text, 0.0) * PS_PER_S)
            found = self._call_of[call] = len(self.calls)
            self.calls.append([asked.op, shorten(text), roofline_ps])
        return found

    def _context(self, context: int) -> int:
        found = self._context_of.get(context)
        if found is None:
            there = self.program.contexts[context]
            found = self._context_of[context] = len(self.contexts)
            self.contexts.append([there.phase, there.path])
        return found
