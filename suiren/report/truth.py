"""Measured truth on the screen: scores, the worst rows, and what was not predicted."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.table import Table
from rich.text import Text

from suiren.truth.memory import MemoryPrediction
from suiren.truth.predict import Prediction
from suiren.truth.score import Score, score
from suiren.units import show_bytes, show_time

#: Rows that a document keeps for a picture; more are thinned evenly, the farthest off are kept.
MOST_POINTS = 4000
MOST_WORST = 50


def rows_document(found: list[Prediction]) -> dict[str, Any]:
    """Rows for a picture, and the worst with their shapes. Seconds; errors as shares of one."""
    told = [p for p in found if p.error is not None]
    stride = max(1, -(-len(told) // MOST_POINTS))
    order = sorted(told, key=lambda p: -abs(p.error or 0.0))
    return {
        "points": [_point(p) for p in told[::stride]],
        "worst": [{**_point(p), "shape": p.row.text} for p in order[:MOST_WORST]],
    }


def _point(one: Prediction) -> dict[str, Any]:
    return {"id": one.row.id, "card": one.card, "op": one.row.op, "dtype": one.row.dtype,
            "measured_s": one.row.measured_s, "predicted_s": one.seconds}  # fmt: skip


def summary(found: list[Prediction]) -> Text:
    """One sentence about all rows."""
    errors = [p.error for p in found if p.error is not None]
    lost = len(found) - len(errors)
    text = Text(f"{len(found):,} rows, {len(errors):,} predicted")
    if lost:
        text.append(f", {lost:,} not (reasons below)")
    if errors:
        all_of_them = score((), errors)
        text.append(
            f"; MAPE {all_of_them.mape:.1f} %, median error {all_of_them.signed_median:+.1f} %, "
            f"half within {all_of_them.median:.1f} %, nine in ten within {all_of_them.p90:.1f} %"
        )
    assumed = Counter(p.assumed_framework for p in found if p.assumed_framework)
    for title, rows in assumed.most_common():
        text.append(f"\n{rows:,} rows rest on an assumed framework: {title}")
    return text


def score_table(title: str, scores: list[Score]) -> Table:
    """Groups with their errors, the largest mean first."""
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("group", overflow="fold")
    for name in ("rows", "signed median", "MAPE", "median", "p90", "worst"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in scores:
        table.add_row(
            " · ".join(part for part in one.group if part), f"{one.count:,}",
            f"{one.signed_median:+.1f} %", f"{one.mape:.1f} %", f"{one.median:.1f} %",
            f"{one.p90:.1f} %", f"{one.worst:+.0f} %",
        )  # fmt: skip
    return table


def worst_table(rows: list[Prediction]) -> Table:
    """The rows that are farthest off."""
    table = Table(title="worst rows", title_justify="left", box=None, padding=(0, 1))
    for name in ("id", "chip", "op", "shape"):
        table.add_column(name, overflow="fold")
    for name in ("measured", "predicted", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in rows:
        row = one.row
        table.add_row(row.id, one.card, f"{row.op} {row.dtype}", row.text,
                      show_time(row.measured_s or 0.0), show_time(one.seconds or 0.0),
                      f"{100 * (one.error or 0.0):+.0f} %")  # fmt: skip
    return table


def refused_table(refused: list[tuple[str, str, str, int]], most: int = 20) -> Table:
    """What was not predicted, and why."""
    table = Table(title="not predicted", title_justify="left", box=None, padding=(0, 1))
    table.add_column("rows", justify="right")
    for name in ("hardware", "op", "why"):
        table.add_column(name, overflow="fold")
    for hardware, op, why, count in refused[:most]:
        table.add_row(f"{count:,}", hardware, op, why)
    rest = refused[most:]
    if rest:
        table.add_row(f"{sum(r[3] for r in rest):,}", "…", "", f"{len(rest)} more reasons")
    return table


def memory_table(found: list[MemoryPrediction]) -> Table:
    """Peak memory of every row that states it, in the order of the rows; reasons counted."""
    errors = [100 * abs(p.error) for p in found if p.error is not None]
    title = f"memory, {len(found)} rows state it, {len(errors)} predicted"
    if errors:
        within = sum(e <= 10 for e in errors)
        title += f": MAPE {sum(errors) / len(errors):.1f} %, {within} within 10 %"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    for name in ("id", "card", "what"):
        table.add_column(name, overflow="fold")
    for name in ("measured", "predicted", "error"):
        table.add_column(name, justify="right", no_wrap=True)
    lost: Counter[str] = Counter()
    for one in found:
        if one.predicted_bytes is None:
            lost[one.status] += 1
            continue
        sizes = (show_bytes(one.measured_bytes), show_bytes(one.predicted_bytes))
        error = f"{100 * (one.error or 0.0):+.1f} %"
        table.add_row(one.row.id, one.card, _what(one), *sizes, error)
    for why, count in lost.most_common():
        table.add_row(f"{count} rows", "", why, "", "", "-")
    return table


def _what(one: MemoryPrediction) -> str:
    row = one.row
    degrees = [f"{name} {row.shape[name]}" for name in ("tp", "pp") if row.shape.get(name)]
    batch = [f"batch {row.shape['micro_batch']}"] if row.shape.get("micro_batch") else []
    cards = [f"{row.shape.get('n_devices', '1')} cards"]
    part = row.shape.get("measured_metric", "").partition(" memory")
    named = [part[0]] if part[1] else []
    return " ".join([row.text, row.dtype, *batch, *degrees, *cards, *named])


def memory_document(found: list[MemoryPrediction]) -> list[dict[str, Any]]:
    """Every row that states its memory, in bytes; `error` is a share of one."""
    return [
        {"id": p.row.id, "card": p.card, "measured_bytes": p.measured_bytes,
         "predicted_bytes": p.predicted_bytes, "error": p.error, "status": p.status}
        for p in found
    ]  # fmt: skip
