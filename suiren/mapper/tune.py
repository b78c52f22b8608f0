"""The fastest kernel for a product: the menu's tiles by simulated time.

A closed form of the tile program orders the candidates (`estimate.py`); the first are weighed,
and as many more as the closed form does not rule out. Of these, one whose least time is not below
the best found needs no simulation (`race.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from suiren.core.pace import Engines, engines_of
from suiren.core.tile import Tensor
from suiren.core.timing import Timing, time_program
from suiren.dtype import bits_of
from suiren.hw.spec import Card
from suiren.kernels.matvec import matvec_n
from suiren.mapper.candidate import Candidate, Candidates, Floats, Shape
from suiren.mapper.estimate import Estimate
from suiren.mapper.menu import SPLITS, Offer, offers
from suiren.mapper.product import bodies_of, simulate
from suiren.mapper.race import Group
from suiren.units import PS_PER_S


@dataclass(frozen=True, slots=True)
class Plan:
    """The way that was chosen, and its time without launch."""

    kernel: str
    offer: Offer
    splits: int
    timing: Timing
    tried: int

    @property
    def seconds(self) -> float:
        """Time without launch."""
        return self.timing.seconds


#: So many candidates are simulated at least, if there are as many.
AT_LEAST = {"matrix": 6, "vector": 14}
#: The closed form is trusted to be at most this much above the simulated time.
TRUST = {"matrix": 0.95, "vector": 0.85}


def tune(
    shape: Shape, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None
) -> Plan:
    """The fastest candidate for a product on a card."""
    ways, guesses_s = ordered(shape, card, clock, warm)
    best, tried = _fastest(shape, card, clock, warm, ways, guesses_s)
    offer, splits = ways.offers[best], int(ways.splits[best])
    timing = simulate(shape, card, Candidate(offer, splits, 0.0), clock, warm)
    kernel = "split_k" if splits > 1 else "matmul"
    if shape.batch == 1 and 1 in (shape.m, shape.n):
        vector = _vector(shape, card, clock, warm)
        if vector.seconds < timing.seconds:
            return Plan("matvec", Offer(16, 1, 512, 3, 1, False), 1, vector, tried)
    return Plan(kernel, offer, splits, timing, tried)


def _fastest(
    shape: Shape, card: Card, clock: float, warm: Mapping[str, float] | None, ways: Candidates,
    guesses_s: Floats,
) -> tuple[int, int]:  # fmt: skip
    """(place of the fastest candidate, how many were weighed)."""
    engines = engines_of(card, clock)
    engine = engines.product_engine(shape.dtype)[0]
    least, trust = AT_LEAST[engine], TRUST[engine]
    place, groups = groups_of(shape, engines, ways, warm or {})
    best, best_ps, tried = -1, 0, 0
    for at, guess_s in enumerate(guesses_s.tolist()):
        if best >= 0 and tried >= least and guess_s * trust >= best_ps / PS_PER_S:
            break
        tried += 1
        number, row = place[at]
        group = groups[number]
        if best >= 0 and group.least_ps[row] >= best_ps:
            continue
        time_ps = group.time_ps(row, best_ps if best >= 0 else None)
        if best < 0 or time_ps < best_ps:
            best, best_ps = at, time_ps
    return best, tried


def groups_of(
    shape: Shape, engines: Engines, ways: Candidates, warm: Mapping[str, float]
) -> tuple[list[tuple[int, int]], list[Group]]:
    """Candidates that are built alike together, and the (group, row) of each."""
    split = ways.splits > 1
    place = np.stack([split, np.where(split, np.cumsum(split), np.cumsum(~split)) - 1], axis=1)
    groups: list[Group] = []
    for is_split in (False, True):
        rows = np.flatnonzero(split == is_split)
        if len(rows):
            some = ways.select(rows)
            groups.append(Group(shape, engines, some, warm, bodies_of(shape, engines, some)))
        elif not is_split:
            place[:, 0] = 0
    return [(g, r) for g, r in place.tolist()], groups


def again(plan: Plan, shape: Shape, card: Card, warm: Mapping[str, float] | None = None) -> Timing:
    """The simulated time of what was chosen for a product, on another card."""
    if plan.kernel == "matvec":
        return _vector(shape, card, 1.0, warm)
    return simulate(shape, card, Candidate(plan.offer, plan.splits, 0.0), 1.0, warm)


def candidates(
    shape: Shape, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None
) -> list[Candidate]:
    """Every candidate, the one with the shortest estimate first."""
    ways, guesses_s = ordered(shape, card, clock, warm)
    return [Candidate(offer, splits, guess_s) for offer, splits, guess_s in
            zip(ways.offers, ways.splits.tolist(), guesses_s.tolist(), strict=True)]  # fmt: skip


def ordered(
    shape: Shape, card: Card, clock: float, warm: Mapping[str, float] | None
) -> tuple[Candidates, Floats]:
    """Every candidate and its estimate in seconds, the shortest first."""
    estimate = Estimate(shape, card, clock, warm or {})
    ways: list[tuple[Offer, int, int]] = []
    for offer in offers(card, shape.dtype, shape.out, estimate.engine, shape.batch > 1):
        blocks = -(-shape.k // offer.tk)
        parts = _parts(blocks) if _may_split(shape) else {1: blocks}
        ways += [(offer, splits, steps) for splits, steps in parts.items()]
    listed = Candidates.of(ways)
    guesses_s = estimate.seconds(listed)
    order = np.argsort(guesses_s, kind="stable")
    return listed.select(order), guesses_s[order]


def _may_split(shape: Shape) -> bool:
    """Whether the library splits k: not in batches, and not where blocks have scales.

    That kernels of packed formats do not is read off `fit` rows of GB200: a product of few tiles
    takes time with k.
    """
    return shape.batch == 1 and bits_of(shape.dtype) >= 8


@lru_cache(maxsize=4096)
def _parts(blocks: int) -> dict[int, int]:
    """Blocks in a part, by how many parts there are; parts without a block are not made."""
    found: dict[int, int] = {}
    for wanted in SPLITS:
        steps = -(-blocks // min(wanted, blocks))
        found.setdefault(-(-blocks // steps), steps)
    return found


def _vector(shape: Shape, card: Card, clock: float, warm: Mapping[str, float] | None) -> Timing:
    """A product with a vector on the vector engine, which reads the matrix once."""
    near = warm or {}
    if shape.m == 1:
        rows, near = shape.n, {"a": near.get("b", 0.0), "x": near.get("a", 0.0)}
    else:
        rows, near = shape.m, {"a": near.get("a", 0.0), "x": near.get("b", 0.0)}
    tensors = (Tensor("a", (rows, shape.k), shape.dtype), Tensor("x", (shape.k,), shape.dtype),
               Tensor("y", (rows,), shape.out))  # fmt: skip
    # libraries give a row to a few threads: little is under way at once
    program = matvec_n.trace(tensors, tm=8, tk=256, stages=2)
    return time_program(program, card, clock, near)
