"""What a tuner chooses from, as columns: one row a candidate, so that all are weighed at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suiren.mapper.menu import Offer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shape:
    """`batch` products [m, k] × [k, n] of one stored format; `out` is the result's."""

    batch: int
    m: int
    n: int
    k: int
    dtype: str
    out: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to compute a product."""

    offer: Offer
    splits: int
    guess_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Ways to compute one product, [candidates] each."""

    offers: tuple[Offer, ...]
    tm: Ints
    tn: Ints
    tk: Ints
    stages: Ints
    resident: Ints
    fresh: NDArray[np.bool_]
    splits: Ints
    """Parts that k is dealt out in."""
    steps: Ints
    """Blocks of k in a part."""

    @classmethod
    def of(cls, ways: Iterable[tuple[Offer, int, int]]) -> Candidates:
        """Of (tile, splits, steps) each."""
        listed = tuple(ways)
        rows = [(o.tm, o.tn, o.tk, o.stages, o.resident, o.fresh, splits, steps)
                for o, splits, steps in listed]  # fmt: skip
        tm, tn, tk, stages, resident, fresh, splits, steps = np.array(rows, np.int64).T
        return cls(tuple(o for o, _, _ in listed), tm, tn, tk, stages, resident, fresh > 0,
                   splits, steps)  # fmt: skip

    def __len__(self) -> int:
        return len(self.offers)

    def select(self, rows: Ints) -> Candidates:
        """Some of them, in the order of `rows`."""
        return Candidates(
            tuple(self.offers[n] for n in rows.tolist()), self.tm[rows], self.tn[rows],
            self.tk[rows], self.stages[rows], self.resident[rows], self.fresh[rows],
            self.splits[rows], self.steps[rows],
        )  # fmt: skip


def ceil_div(a: Ints | int, b: Ints | int) -> Ints:
    """The quotient of whole numbers, rounded up."""
    return np.asarray(-(-a // b))
