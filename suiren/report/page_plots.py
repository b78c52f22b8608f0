"""Data of the roofline, the memory plot and the tables. Seconds, FLOP, bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suiren.report.answer import Answer, Row
from suiren.report.page_spans import shorten
from suiren.report.perfetto import memory_counter

#: Calls a roofline shows, by time.
MAX_POINTS = 400
#: Bars of calls that only move data.
MAX_BARS = 12
#: Points of the memory curve; a longer one keeps the extremes of every stretch.
MAX_CURVE = 4000
#: Rows of a table, by time.
MAX_ROWS = 1000
#: Owners listed beside the memory plot.
MAX_OWNERS = 200


def plots(answer: Answer) -> dict[str, Any]:
    """Everything that is drawn besides the timeline."""
    return {"roofline": roofline(answer), "memory": _memory(answer), "tables": tables(answer)}


def roofline(answer: Answer) -> dict[str, Any]:
    """Roofs of the card, and a row of `_point` for each call that ran matrix FLOP or none."""
    card = answer.card
    roofs: dict[float, list[str]] = {}
    for name in card.formats():
        roofs.setdefault(card.peak_flop_per_s(name), []).append(name)
    timed = [r for r in answer.shapes if r.time_s > 0 and r.calls]
    streaming = [r for r in timed if r.flop <= 0 and r.memory_bytes > 0]
    return {
        "roofs": [
            {"flop_per_s": peak, "formats": names,
             "used": any(f in answer.flop_by_format for f in names)}
            for peak, names in sorted(roofs.items())
            if peak > 0
        ],
        "memory_bytes_per_s": float(card.memory_bytes_per_s),
        "points": [_point(r, answer) for r in timed if r.flop > 0][:MAX_POINTS],
        "streaming": [_point(r, answer) for r in streaming[:MAX_BARS]],
        "num_streaming": len(streaming),
        "resident": sum(1 for r in timed if r.flop <= 0 and r.memory_bytes <= 0),
        "num_with_flop": sum(1 for r in timed if r.flop > 0),
    }  # fmt: skip


def _point(row: Row, answer: Answer) -> dict[str, Any]:
    """One call. No `intensity` (FLOP per byte) means that it moved no device memory."""
    return {
        "name": shorten(row.name),
        "op": row.name.partition("(")[0],
        "intensity": row.flop / row.memory_bytes if row.memory_bytes > 0 else None,
        "flop_per_s": row.flop / row.time_s,
        "bytes_per_s": row.memory_bytes / row.time_s,
        "share": _share(row.time_s, answer),
        "time_s": row.time_s,
        "calls": row.calls,
        "why": row.why,
        "roofline_share": row.roofline_share,
    }


def _share(seconds: float, answer: Answer) -> float:
    return seconds / answer.step_time_s if answer.step_time_s else 0.0


def _memory(answer: Answer) -> dict[str, Any]:
    points = [(0.0, answer.memory.start_bytes)]
    points += [(e["ts"] / 1e6, e["args"]["bytes"]) for e in memory_counter(answer)]
    points = _thinned(points)
    return {
        "time_s": [t for t, _ in points],
        "bytes": [b for _, b in points],
        **peak_of_memory(answer),
    }


def peak_of_memory(answer: Answer) -> dict[str, Any]:
    """What a memory plot tells beside its curve: the peak, its owners, the card's limit."""
    return {
        "step_time_s": answer.step_time_s,
        "capacity_bytes": int(answer.card.memory_bytes),
        "peak_bytes": answer.memory.peak_bytes,
        "owners": [[o.kind, shorten(o.name), o.bytes] for o in answer.memory.owners[:MAX_OWNERS]],
    }


def _thinned(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """First, lowest, highest and last point of every stretch, in order of time."""
    if len(points) <= MAX_CURVE:
        return points
    stride = -(-4 * len(points) // MAX_CURVE)
    kept: list[tuple[float, int]] = []
    for at in range(0, len(points), stride):
        part = range(at, min(at + stride, len(points)))
        low = min(part, key=lambda i: points[i][1])
        high = max(part, key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({part[0], low, high, part[-1]})]
    return kept


def tables(answer: Answer) -> dict[str, Any]:
    """The long tables, cut to `MAX_ROWS`, and how many rows each has."""
    return {
        "ops": _rows(answer.ops, answer),
        "modules": _rows(answer.modules, answer),
        "calls": _rows(answer.shapes, answer),
        "num_rows": [len(answer.ops), len(answer.modules), len(answer.shapes)],
    }


def _rows(rows: Sequence[Row], answer: Answer) -> list[list[Any]]:
    """(name, s, share, calls, bound by, roofline share, FLOP, bytes, family) a row."""
    return [
        [shorten(r.name), r.time_s, _share(r.time_s, answer), r.calls, r.why, r.roofline_share,
         r.flop, r.memory_bytes, r.family]
        for r in rows[:MAX_ROWS]
    ]  # fmt: skip
