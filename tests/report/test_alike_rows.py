"""Ranks of one kind stand in one row where they show the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from suiren.report.ranks_screen import _distinct

PARTS = ("matrix", "vector", "memory", "l2", "launch", "collective", "peer", "idle", "link")


def row(rank: int, ranks: tuple[int, ...], **parts: float) -> Any:
    split = {part: parts.get(part, 0.0) for part in PARTS}
    busy = sum(split[part] for part in PARTS[:5])
    return SimpleNamespace(rank=rank, ranks=ranks, split_s=split, busy_s=busy, peak_bytes=1 << 30)


def test_the_first_of_those_that_show_the_same_stands_for_all() -> None:
    alike = (0, 2, 4)
    rows = (row(0, alike, matrix=0.5), row(1, (1, 3), matrix=0.5), row(2, alike, matrix=0.5),
            row(4, alike, matrix=0.4, peer=0.1))  # fmt: skip
    found: Any = SimpleNamespace(rows=rows, step_time_s=1.0)
    assert [one.rank for one in _distinct(found)] == [0, 1, 4]
