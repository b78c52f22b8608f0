"""What a centre is asked, all at once; and two or more of them beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suiren.centre.bounds import bounds_of
from suiren.centre.money import Line
from suiren.centre.sensitivity import Moved, sensitivity
from suiren.centre.site import Centre
from suiren.centre.study import Study, study
from suiren.centre.verdict import Verdict, verdict


class Incomparable(ValueError):  # noqa: N818 - reads as what it is
    """Centres that cannot stand beside each other; one sentence says why."""


@dataclass(frozen=True)
class CentreAnswer:
    """A study with its verdict, bounds and sensitivity."""

    study: Study
    verdict: Verdict
    bounds: tuple[dict[str, float], ...]
    """One a job."""
    moved: tuple[Moved, ...]


def answer(centre: Centre, seed: int = 0) -> CentreAnswer:
    """Everything about a centre; raises BadJob for a job that names what does not exist."""
    found = study(centre, seed)
    bounds = tuple(bounds_of(outcome, centre) for outcome in found.outcomes)
    return CentreAnswer(found, verdict(found), bounds, tuple(sensitivity(found)))


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The price with which a centre's tokens would cost what the other's do."""

    name: str
    given: float | None
    price: float
    other: int
    """Which centre it is held against, by its place."""


def comparable(centres: Sequence[Centre]) -> None:
    """Raises Incomparable for other currencies."""
    currencies = [centre.prices.currency for centre in centres]
    if len(set(currencies)) > 1:
        raise Incomparable(f"the centres count in {' and '.join(dict.fromkeys(currencies))}; "
                           "write all prices in one currency")  # fmt: skip


def same_jobs(answers: Sequence[CentreAnswer]) -> bool:
    """Whether all centres train the same models on as much."""

    def amounts(answer: CentreAnswer) -> list[tuple[str | None, float]]:
        trained = [outcome.trained for outcome in answer.study.outcomes]
        return [(t.job.model, t.tokens or t.steps) for t in trained]

    return all(amounts(answer) == amounts(answers[0]) for answer in answers)


def cheapest(answers: Sequence[CentreAnswer]) -> int | None:
    """The centre whose tokens cost least; None where no two were priced."""
    costs = [a.study.cost_per_token or 0.0 for a in answers]
    priced = [n for n, cost in enumerate(costs) if cost > 0]
    return min(priced, key=lambda n: costs[n]) if len(priced) > 1 else None


def break_evens(answers: Sequence[CentreAnswer], index: int) -> list[BreakEven]:
    """Prices of one centre with which its tokens cost what the cheapest other's do.

    For nodes or cards, and for everything that no price was given for.
    """
    mine = answers[index].study
    others = [(a.study.cost_per_token or 0.0, n) for n, a in enumerate(answers) if n != index]
    priced = [pair for pair in others if pair[0] > 0]
    if not priced or not mine.cost_per_token:
        return []
    cost, other = min(priced)
    target = mine.bill.total * cost / mine.cost_per_token
    found = []
    for line in mine.bill.lines:
        if line.price is None or line.name in ("node", "card"):
            price = mine.bill.break_even(line.name, target)
            if price is not None and _is_worth_telling(line):
                found.append(BreakEven(line.name, line.price, price, other))
    return found


def _is_worth_telling(line: Line) -> bool:
    return line.quantity > 0 or line.name == "maintenance_per_cent"
