"""The timeline of many ranks: the tracks of every rank whose spans were kept, on one clock."""

from __future__ import annotations

from typing import Any

from suiren.report.page_spans import SpanWriter
from suiren.report.ranks import RanksAnswer
from suiren.units import PS_PER_S

#: Ranks drawn; those beyond are left out, and `num_dropped` counts their spans.
MOST_RANKS = 64


def ranks_timeline(found: RanksAnswer) -> dict[str, Any]:
    """As `page_spans.timeline`, each track with its `rank`. Times in picoseconds."""
    writer = SpanWriter()
    start_ps = min((time.start_ps for time in found.times.values()), default=0)
    programs = {row.rank: row.program for row in found.rows}
    for number, (rank, time) in enumerate(sorted(found.times.items())):
        if number >= MOST_RANKS:
            writer.dropped += len(time.spans)
            continue
        writer.begin(programs[rank], start_ps, found.main.shapes, rank)
        for span in time.spans:
            writer.add(span)
    return writer.document(round(found.step_time_s * PS_PER_S))
