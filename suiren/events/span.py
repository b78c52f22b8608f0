"""Span: the one record every simulator writes and every report reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time: what, where, from when to when, and why that long.

    The spans of one device tile its timeline: a gap is a span too, of kind `idle`, and
    `why` says what it waited for.
    """

    kind: str
    """`op`, `launch` or `idle`."""
    call: int
    """Index into the program's calls, -1 for a gap."""
    context: int
    """Index into the program's contexts."""
    stream: int
    """device << 16 | stream."""
    start_ps: int
    end_ps: int
    why: str
    """What bounded an op (`matrix`, `vector`, `memory`, `l2`, `link`), or what a gap waited for
    (`host`, `event`)."""
    event: int = -1
    """Index of the event in its step."""

    @property
    def duration_ps(self) -> int:
        """End minus start."""
        return self.end_ps - self.start_ps
