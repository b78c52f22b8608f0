"""What is drawn of one card's step: timeline, roofline, memory, tables, flame.

With a saved trace everything is worked out again, so that a picture shows all of the step; from
a document alone come its tables and the roofline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from suiren.mapper.memory import kinds_over_time
from suiren.report.answer import Answer
from suiren.report.page_plots import MAX_CURVE, peak_of_memory, roofline, tables
from suiren.report.page_spans import shorten, timeline
from suiren.report.ranks import RanksAnswer
from suiren.report.ranks_spans import ranks_timeline
from suiren.units import PS_PER_S

#: Calls of a roofline.
MOST_POINTS = 400


def parts_of_answer(answer: Answer) -> dict[str, Any]:
    """Everything, from an answer with its spans."""
    return {
        "timeline": timeline(answer),
        "roofline": roofline(answer),
        "memory": {**peak_of_memory(answer), "stack": _stack(answer)},
        "tables": tables(answer),
        "flame": _flame(answer),
    }


def parts_of_ranks(found: RanksAnswer) -> dict[str, Any]:
    """The busiest rank's parts, with the timeline of all ranks whose spans were kept."""
    return {**parts_of_answer(found.main), "timeline": ranks_timeline(found)}


def parts_of_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's document alone tells: no timeline, memory only at its peak."""
    return {
        "timeline": None,
        "roofline": _roofline(document),
        "memory": {
            "stack": None,
            "step_time_s": document["step_time_s"],
            "capacity_bytes": document["memory_capacity_bytes"],
            "peak_bytes": document["steady_peak_memory_bytes"],
            "owners": [[o["kind"], shorten(o["name"]), o["bytes"]]
                       for o in document["memory_owners"]],
        },
        "tables": {
            **{name: [_row(r) for r in document[name]] for name in ("ops", "modules", "calls")},
            "num_rows": [len(document[name]) for name in ("ops", "modules", "calls")],
        },
        "flame": [["", r["name"], r["time_s"], r["calls"], r["bound_by"]]
                  for r in document["modules"]],
    }  # fmt: skip


def _row(row: Mapping[str, Any]) -> list[Any]:
    return [shorten(row["name"]), row["time_s"], row["share"], row["calls"], row["bound_by"],
            row["roofline_share"], row["flop"], row["memory_bytes"], row["family"]]  # fmt: skip


def _roofline(document: Mapping[str, Any]) -> dict[str, Any]:
    """As `page_plots` draws it, from a document's calls and card."""
    card = document["card"]
    roofs: dict[float, list[str]] = {}
    for name, peak in card["peak_flop_per_s"].items():
        roofs.setdefault(peak, []).append(name)
    timed = [r for r in document["calls"] if r["time_s"] > 0 and r["calls"]]
    flop = [r for r in timed if r["flop"] > 0]
    streaming = [r for r in timed if r["flop"] <= 0 and r["memory_bytes"] > 0]
    used = document["flop_by_format"]
    return {
        "roofs": [{"flop_per_s": peak, "formats": names, "used": any(f in used for f in names)}
                  for peak, names in sorted(roofs.items()) if peak > 0],
        "memory_bytes_per_s": card["memory_bytes_per_s"],
        "points": [_point(r) for r in flop[:MOST_POINTS]],
        "streaming": [_point(r) for r in streaming[:12]],
        "num_streaming": len(streaming),
        "resident": len(timed) - len(flop) - len(streaming),
        "num_with_flop": len(flop),
    }  # fmt: skip


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    moved = row["memory_bytes"]
    return {
        "name": shorten(row["name"]), "op": row["name"].partition("(")[0],
        "intensity": row["flop"] / moved if moved > 0 else None,
        "flop_per_s": row["flop"] / row["time_s"], "bytes_per_s": moved / row["time_s"],
        "share": row["share"], "time_s": row["time_s"], "calls": row["calls"],
        "why": row["bound_by"], "roofline_share": row["roofline_share"],
    }  # fmt: skip


def _stack(answer: Answer) -> dict[str, Any]:
    """Live bytes by kind over the step: columns, thinned to the extremes of every stretch."""
    start = answer.time.start_ps
    ops = [(s.event, (s.start_ps - start) / PS_PER_S) for s in answer.spans if s.kind == "op"]
    events, begins = (np.array(column) for column in zip(*sorted(ops), strict=True))
    indices, columns = kinds_over_time(answer.program, answer.step)
    # a change stands at the op before it in the record, as the memory counter has it
    before = np.searchsorted(events, indices, side="right") - 1
    times = np.where(before >= 0, begins[np.maximum(before, 0)], 0.0)
    kept = _extremes(np.sum(list(columns.values()), axis=0))
    kinds = [kind for kind in columns if columns[kind].any()]
    return {
        "kinds": kinds,
        "time_s": times[kept].tolist(),
        "bytes": [columns[kind][kept].tolist() for kind in kinds],
    }


def _extremes(totals: npt.NDArray[np.int64]) -> list[int]:
    """Indices of the first, lowest, highest and last point of every stretch."""
    count = len(totals)
    if count <= MAX_CURVE:
        return list(range(count))
    stride = -(-4 * count // MAX_CURVE)
    kept: set[int] = set()
    for at in range(0, count, stride):
        part = totals[at : at + stride]
        low, high = int(part.argmin()), int(part.argmax())
        kept |= {at, at + low, at + high, at + len(part) - 1}
    return sorted(kept)


def _flame(answer: Answer) -> list[list[Any]]:
    """(phase, module path, s, spans, bound by) of what a module did itself, longest first."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for span in answer.spans:
        if span.kind == "idle":
            continue
        context = answer.program.contexts[span.context]
        row = sums.setdefault((context.phase, context.path), [0, 0, {}])
        row[0] += span.duration_ps
        row[1] += span.kind == "op"
        row[2][span.why] = row[2].get(span.why, 0) + span.duration_ps
    order = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return [[phase, shorten(path), ps / PS_PER_S, count, max(why, key=lambda w: why[w])]
            for (phase, path), (ps, count, why) in order]  # fmt: skip
