"""The page of many ranks: that of the busiest one, with what all of them do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suiren.report.answer import SPLIT
from suiren.report.page import page_html
from suiren.report.page_text import stacked_parts
from suiren.report.ranks import CollectiveRow, RankRow, RanksAnswer
from suiren.units import show_bytes, show_rate, show_time

#: Ranks drawn; a longer list is cut.
MOST_ROWS = 64


def write_ranks_page(found: RanksAnswer, path: Path) -> None:
    """Writes the page; the same run gives the same bytes."""
    path.write_text(ranks_page_html(found), encoding="utf-8")


def ranks_page_html(found: RanksAnswer) -> str:
    """Renders the page."""
    return page_html(found.main, _words(found))


def _words(found: RanksAnswer) -> dict[str, Any]:
    seconds = found.step_time_s
    speed = f"{found.samples / seconds:,.1f} samples/s" if seconds and found.batch.calls else "-"
    if found.tokens and seconds:
        speed += f", {found.tokens / seconds:,.0f} tokens/s"
    return {
        "world": f"{found.world_size:,}",
        "machine": found.cluster.title,
        "main": found.rank,
        "line": f"A step takes {show_time(seconds)}: {speed}, MFU {100 * found.mfu:.1f} % of all "
        f"cards, at most {show_bytes(found.peak_bytes)} on a card.",
        "rows": [_rank(row, seconds) for row in found.rows[:MOST_ROWS]],
        "collectives": [_collective(row) for row in found.collectives],
    }


def _rank(row: RankRow, seconds: float) -> dict[str, Any]:
    def share(part: str) -> str:
        return f"{100 * row.split_s[part] / seconds:.1f} %" if seconds else "-"

    return {
        "rank": row.rank,
        "like": f"{len(row.ranks):,}",
        "parts": stacked_parts(row.split_s, SPLIT, seconds),
        "collectives": share("collective"),
        "peers": share("peer"),
        "memory": show_bytes(row.peak_bytes),
    }


def _collective(row: CollectiveRow) -> dict[str, str]:
    return {
        "name": row.name,
        "group": row.group,
        "ranks": f"{row.ranks:,}",
        "count": f"{row.count:,}",
        "bytes": show_bytes(int(row.bytes)),
        "time": show_time(row.time_s),
        "rate": show_rate(row.bus_bytes_per_s, "B/s") if row.bus_bytes else "-",
        "how": f"{row.algorithm}, bound by {row.bound}",
    }
