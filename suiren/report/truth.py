"""Measured truth on the screen: scores, the worst rows, and what was not predicted."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from suiren.truth.predict import Prediction
from suiren.truth.score import Score, score
from suiren.units import show_time

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
