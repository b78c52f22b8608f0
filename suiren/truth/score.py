"""Errors with sign, every row: by chip, op, format and size class, the worst ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import floor, log10
from statistics import median

from suiren.truth.predict import Prediction

#: Classes of the row count M of a product, upper bounds.
_M_CLASSES = (1, 16, 64, 256, 1024, 4096, 16384)


@dataclass(frozen=True, slots=True)
class Score:
    """Errors of one group of rows, in percent."""

    group: tuple[str, ...]
    count: int
    signed_median: float
    mape: float
    median: float
    p90: float
    worst: float
    """Signed error of the row that is farthest off."""


def score(group: tuple[str, ...], errors: list[float]) -> Score:
    """The score of some errors, each (predicted − measured) / measured."""
    size = sorted(abs(e) for e in errors)
    return Score(
        group, len(errors), 100 * median(errors), 100 * sum(size) / len(size), 100 * median(size),
        100 * size[min(len(size) - 1, int(0.9 * len(size)))], 100 * max(errors, key=abs),
    )  # fmt: skip


def by(
    found: Iterable[Prediction], key: Callable[[Prediction], tuple[str, ...] | None]
) -> list[Score]:
    """Scores of groups, the largest mean error first."""
    groups: dict[tuple[str, ...], list[float]] = {}
    for one in found:
        error, group = one.error, key(one)
        if error is not None and group is not None:
            groups.setdefault(group, []).append(error)
    return sorted((score(g, e) for g, e in groups.items()), key=lambda s: -s.mape)


def chip_and_op(one: Prediction) -> tuple[str, ...]:
    """Card, op and format of a row."""
    return (one.card, one.row.op, one.row.dtype)


def decade(one: Prediction) -> tuple[str, ...] | None:
    """Card, op, format, and the decade of the measured time."""
    if not one.row.measured_s:
        return None
    power = floor(log10(one.row.measured_s) + 1e-9)
    names = {-6: "1-10 µs", -5: "10-100 µs", -4: "0.1-1 ms", -3: "1-10 ms", -2: "10-100 ms",
             -1: "0.1-1 s"}  # fmt: skip
    return (*chip_and_op(one), names.get(power, f"1e{power} s"))


def rows_of_product(one: Prediction) -> tuple[str, ...] | None:
    """Card, op, format, and the class of M, for rows that have one."""
    if "M" not in one.row.shape or not one.row.shape["M"].isdigit():
        return None
    m = int(one.row.shape["M"])
    top = next((c for c in _M_CLASSES if m <= c), None)
    return (*chip_and_op(one), f"M ≤ {top}" if top else f"M > {_M_CLASSES[-1]}")


def model_and_card(one: Prediction) -> tuple[str, ...] | None:
    """Card, framework and model of a training row."""
    if one.row.op != "training step":
        return None
    return (one.card, one.row.shape.get("framework", ""), one.row.text)


def scale(one: Prediction) -> tuple[str, ...] | None:
    """Card and devices of a training row."""
    if one.row.op != "training step":
        return None
    return (one.card, f"{one.row.shape.get('n_devices', '?')} devices")


def worst(found: Iterable[Prediction], count: int) -> list[Prediction]:
    """The rows with the largest errors."""
    told = [p for p in found if p.error is not None]
    return sorted(told, key=lambda p: -abs(p.error or 0.0))[:count]


def refused(found: Iterable[Prediction]) -> list[tuple[str, str, str, int]]:
    """(hardware, op, reason, rows) of what has no error, most rows first."""
    counts = Counter((p.row.hardware, p.row.op, p.status) for p in found if p.error is None)
    return [(*key, n) for key, n in counts.most_common()]
