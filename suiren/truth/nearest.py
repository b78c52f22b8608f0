"""Interpolation between measured rows, for who would rather trust them than the model.

The measured rows nearest in the logarithms of all sizes are taken, and what the model was
off on them corrects its prediction: the model gives the shape of the curve, the rows its level.
A row never helps to predict itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from suiren.truth.predict import Prediction

#: Measured rows that are asked.
NEIGHBOURS = 4


@dataclass(frozen=True)
class _Table:
    """Measured rows of one chip, op and format."""

    places: NDArray[np.float64]
    off: NDArray[np.float64]
    """log(measured / predicted)."""
    ids: list[str]


def corrected(found: Iterable[Prediction], split: str = "fit") -> list[Prediction]:
    """Predictions corrected by measured rows of the split (by all others if none has one)."""
    found = list(found)
    tables = _tables(found, split)
    return [_corrected(one, tables) for one in found]


def _key(one: Prediction) -> tuple[str, ...]:
    return (one.row.hardware, one.row.op, one.row.dtype, *sorted(one.row.shape))


def _place(one: Prediction) -> list[float]:
    sizes = (one.row.shape[name] for name in sorted(one.row.shape))
    return [log(max(1.0, float(s))) for s in sizes if s.replace(".", "", 1).isdigit()]


def _tables(found: list[Prediction], split: str) -> dict[tuple[str, ...], _Table]:
    usable = [p for p in found if p.seconds and p.row.measured_s]
    chosen = [p for p in usable if p.row.split == split] or usable
    groups: dict[tuple[str, ...], list[Prediction]] = {}
    for one in chosen:
        groups.setdefault(_key(one), []).append(one)
    return {
        key: _Table(
            np.array([_place(p) for p in rows]),
            np.array([log((p.row.measured_s or 1.0) / (p.seconds or 1.0)) for p in rows]),
            [p.row.id for p in rows],
        )
        for key, rows in groups.items()
    }


def _corrected(one: Prediction, tables: dict[tuple[str, ...], _Table]) -> Prediction:
    table = tables.get(_key(one))
    if table is None or one.seconds is None:
        return one
    away = np.abs(table.places - np.array(_place(one))).sum(axis=1)
    order = [i for i in np.argsort(away, kind="stable")[: NEIGHBOURS + 1].tolist()
             if table.ids[i] != one.row.id][:NEIGHBOURS]  # fmt: skip
    if not order:
        return one
    weights = 1 / (away[order] + 0.05)
    off = float((weights * table.off[order]).sum() / weights.sum())
    return replace(one, seconds=one.seconds * exp(off), status="predicted, corrected by rows")
