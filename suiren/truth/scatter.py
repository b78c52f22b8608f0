"""How far measured rows are from each other: what no model of their conditions can undo.

Two figures. *Again*: rows that name the same condition and were measured twice. *Line*: a row
against the straight line, in logarithms, through its neighbours in size of the same series; a
smooth model errs by about that much, whatever it is. Nothing here knows a prediction.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from math import exp, log

from suiren.truth.rows import Row

#: Neighbours further apart than this say nothing about what lies between.
_NEAR = 4.0


def again(
    rows: Iterable[Row], condition: Callable[[Row], Hashable]
) -> dict[str, float]:
    """Row id to its error against the best one number for all rows of its condition.

    Best is what makes the mean of |number - row| / row least. Equal times are one measurement
    that stands twice; conditions with one measurement are left out.
    """
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        if row.measured_s:
            groups.setdefault(condition(row), []).append(row)
    found: dict[str, float] = {}
    for group in groups.values():
        times = sorted({float(row.measured_s or 0) for row in group})
        if len(times) < 2:
            continue
        best = min(times, key=lambda c: sum(abs(c / t - 1) for t in times))
        found |= {row.id: abs(best / float(row.measured_s or 1) - 1) for row in group}
    return found


def off_line(
    rows: Iterable[Row], series: Callable[[Row], Hashable], size: Callable[[Row], float]
) -> dict[str, float]:
    """Row id to how far it is from the line through its neighbours, over the row.

    Rows at either end of a series, and those whose neighbours are four times apart, are left out.
    """
    lines: dict[Hashable, dict[float, Row]] = {}
    for row in rows:
        if row.measured_s:
            lines.setdefault(series(row), {})[size(row)] = row
    found: dict[str, float] = {}
    for by_size in lines.values():
        found |= _off(by_size)
    return found


def _off(by_size: Mapping[float, Row]) -> dict[str, float]:
    sizes, found = sorted(by_size), {}
    for low, here, high in zip(sizes, sizes[1:], sizes[2:], strict=False):
        if high > _NEAR * low:
            continue
        share = log(here / low) / log(high / low)
        ends = [float(by_size[s].measured_s or 1) for s in (low, high)]
        own = float(by_size[here].measured_s or 1)
        line = exp((1 - share) * log(ends[0]) + share * log(ends[1]))
        found[by_size[here].id] = abs(line / own - 1)
    return found
