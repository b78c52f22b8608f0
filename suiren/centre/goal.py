"""Goals of a centre held against what was found."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.centre.study import Study


@dataclass(frozen=True, slots=True)
class Check:
    """One goal."""

    name: str
    """`days`, `power_w`, `budget`, `capital`, or `runs` (whether the jobs can run at all)."""
    asked: float
    found: float
    holds: bool

    @property
    def margin(self) -> float:
        """Share of what was asked that is left; negative where it is missed."""
        return (self.asked - self.found) / self.asked if self.asked else 0.0


def checks_of(found: Study) -> tuple[Check, ...]:
    """Every goal beside what was found."""
    goal = found.centre.goal
    can = sum(outcome.runs for outcome in found.outcomes)
    checks = [Check("runs", len(found.outcomes), can, found.works)]
    if goal is None:
        return tuple(checks)
    pairs = (("days", goal.days, found.days), ("power_w", goal.power_w, found.peak.meter_w),
             ("budget", goal.budget, found.bill.total),
             ("capital", goal.capital, found.bill.capital))  # fmt: skip
    for name, asked, value in pairs:
        if asked is not None:
            checks.append(Check(name, asked, value, value <= asked * (1 + 1e-9)))
    return tuple(checks)


def reached(found: Study) -> bool:
    """Whether every goal is."""
    return all(check.holds for check in checks_of(found))
