"""A Chrome trace, as `--trace` writes it, as columns of the timeline.

Any trace of complete events with microseconds can be looked at; what bounds a span and which
module it serves are there if Suiren wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suiren.report.page_spans import shorten

_PS_PER_US = 10**6
#: Spans shown; a longer trace is cut at its end.
MOST_SPANS = 400_000


def timeline_of_events(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """As `page_spans.timeline`; a track is a thread of a process. Times in picoseconds.

    Raises ValueError where no complete event stands in it.
    """
    events = list(events)
    names = _names(events)
    spans = sorted((e for e in events if e.get("ph") == "X" and e.get("dur")),
                   key=lambda e: e["ts"])  # fmt: skip
    if not spans:
        raise ValueError("it holds no complete event")
    start = spans[0]["ts"]
    tables: tuple[dict[Any, int], ...] = ({}, {}, {})
    tracks: dict[tuple[Any, Any], dict[str, Any]] = {}
    for event in spans[:MOST_SPANS]:
        key = event.get("pid", 0), event.get("tid", 0)
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = {
                "name": names.get(key, f"{key[0]} {key[1]}"),
                "rank": key[0] if isinstance(key[0], int) and len(names) > 1 else -1,
                "shapes": [], "gaps_ps": [], "end": 0,
            }  # fmt: skip
        at, busy = round((event["ts"] - start) * _PS_PER_US), round(event["dur"] * _PS_PER_US)
        track["shapes"].append(_shape(event, busy, *tables))
        track["gaps_ps"].append(at - track["end"])
        track["end"] = at + busy
    calls, contexts, shapes = tables
    last = max(t.pop("end") for t in tracks.values())
    return {
        "period_ps": last,
        "tracks": [tracks[key] for key in sorted(tracks, key=str)],
        "shapes": [list(shape) for shape in shapes],
        "calls": [[op, text, 0] for op, text in calls],
        "contexts": [list(context) for context in contexts],
        "num_records": min(len(spans), MOST_SPANS),
        "num_dropped": max(0, len(spans) - MOST_SPANS),
    }


def _shape(
    event: Mapping[str, Any], busy: int, calls: dict[Any, int], contexts: dict[Any, int],
    shapes: dict[Any, int],
) -> int:  # fmt: skip
    told = event.get("args") or {}
    context = str(told.get("phase", "")), shorten(str(told.get("module", "")))
    name = str(event.get("name", ""))
    call = -1
    if event.get("cat") != "idle":
        asked = name, shorten(str(told.get("call", name)))
        call = calls.setdefault(asked, len(calls))
    why = "launch" if event.get("cat") == "launch" else str(told.get("why", ""))
    shape = (call, contexts.setdefault(context, len(contexts)), why, 0, busy)
    return shapes.setdefault(shape, len(shapes))


def _names(events: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, Any], str]:
    """Names of threads, by (process, thread)."""
    return {
        (e.get("pid", 0), e.get("tid", 0)): str((e.get("args") or {}).get("name", ""))
        for e in events
        if e.get("ph") == "M" and e.get("name") == "thread_name"
    }
