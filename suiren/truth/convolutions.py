"""Rows of convolutions."""

from __future__ import annotations

from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.unknown import NotPredicted


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return False


def seconds(row: Row, card: Card) -> float:
    """Launch and kernel, as the row's table measures it."""
    raise NotPredicted("not timed")
