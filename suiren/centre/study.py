"""Everything about a centre in one answer: steps, month, power, energy, money."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

from suiren.centre.energy import Energy, energy_of, idle_energy, mixed
from suiren.centre.money import Bill, bill_of
from suiren.centre.month import HISTORIES, Month, month_of
from suiren.centre.power import Cap, Fixed, Peak, cap_of, fixed_of, peak_of
from suiren.centre.site import J_PER_KWH, S_PER_YEAR, Centre, cluster_of_centre
from suiren.centre.training import Trained, checkpoint_bytes_of, model_of, train
from suiren.fleet.layout import Layout

S_PER_DAY = 86400.0


@dataclass(frozen=True)
class Outcome:
    """What becomes of one job."""

    trained: Trained
    month: Month | None
    """None where the job cannot run."""
    energy: Energy | None
    """Of a month of it."""

    @property
    def runs(self) -> bool:
        """Whether it can run at all."""
        return self.month is not None

    @property
    def seconds(self) -> float:
        """From its start to its end, everything lost included; infinite where it cannot run."""
        if self.month is None or self.month.share <= 0:
            return inf
        return self.trained.steps * self.trained.step_s / self.month.share

    @property
    def days(self) -> float:
        """The same in days."""
        return self.seconds / S_PER_DAY

    @property
    def total_j(self) -> float:
        """Energy of the whole job at the meter."""
        return self.energy.over(self.seconds).total_j if self.energy else inf


@dataclass(frozen=True)
class Study:
    """A centre's answer."""

    centre: Centre
    seed: int
    fixed: Fixed
    cap: Cap
    peak: Peak
    outcomes: tuple[Outcome, ...]
    """One a job; jobs run one after the other on all usable cards."""
    energy: Energy
    """A month of the centre: its jobs by the time they take, and what is left without work."""
    bill: Bill

    @property
    def first(self) -> Outcome:
        """The first job's."""
        return self.outcomes[0]

    @property
    def works(self) -> bool:
        """Whether every job can run."""
        return all(outcome.runs for outcome in self.outcomes)

    @property
    def days(self) -> float:
        """Until all jobs are done."""
        return sum(outcome.days for outcome in self.outcomes)

    @property
    def kwh_per_year(self) -> float:
        """At the meter."""
        return kwh_per_year(self.energy)

    def cost_of(self, outcome: Outcome) -> float:
        """What the centre costs while the job runs; time without work is shared by all work."""
        return self.bill.per_second * outcome.seconds / self.centre.use_share

    @cached_property
    def cost(self) -> float:
        """Of all jobs."""
        return sum(self.cost_of(outcome) for outcome in self.outcomes)

    @cached_property
    def cost_per_token(self) -> float | None:
        """Of all jobs with a model; None where none has or nothing was priced."""
        pairs = [(self.cost_of(o), o.trained.tokens) for o in self.outcomes if o.trained.tokens]
        tokens = sum(n for _, n in pairs)
        return sum(c for c, _ in pairs) / tokens if tokens and self.works else None

    @cached_property
    def cost_per_eflop(self) -> float | None:
        """Per 1e18 useful FLOP, of all jobs with a model."""
        pairs = [(self.cost_of(o), o.trained.flop) for o in self.outcomes if o.trained.flop]
        flop = sum(n for _, n in pairs)
        return 1e18 * sum(c for c, _ in pairs) / flop if flop and self.works else None


def study(
    centre: Centre, seed: int = 0, histories: int = HISTORIES,
    only: tuple[Layout | None, ...] | None = None,
) -> Study:  # fmt: skip
    """The answer for a centre; `only` gives each job's layout, so that none is searched.

    Raises BadJob for a job whose model or framework does not exist.
    """
    sizes = [checkpoint_bytes_of(job, model_of(job)) for job in centre.jobs]
    fixed = fixed_of(centre, max(sizes))
    cap = cap_of(centre, fixed)
    cluster = cluster_of_centre(centre, fixed.switches)
    outcomes = []
    for number, job in enumerate(centre.jobs):
        trained = train(job, centre, cluster, cap, only[number] if only else None)
        outcomes.append(_outcome(trained, centre, fixed, seed, histories))
    peak = peak_of(centre, fixed, max(0.0, cap.card_w))
    energy = _energy(centre, fixed, outcomes)
    bill = bill_of(centre, fixed, peak, kwh_per_year(energy))
    return Study(centre, seed, fixed, cap, peak, tuple(outcomes), energy, bill)


def kwh_per_year(energy: Energy) -> float:
    """A year of such months at the meter."""
    return energy.average_w * S_PER_YEAR / J_PER_KWH


def _outcome(
    trained: Trained, centre: Centre, fixed: Fixed, seed: int, histories: int
) -> Outcome:
    if trained.problem:
        return Outcome(trained, None, None)
    month = month_of(trained, centre, fixed.switches.switches, seed, histories)
    return Outcome(trained, month, energy_of(trained, month, centre, fixed))


def _energy(centre: Centre, fixed: Fixed, outcomes: list[Outcome]) -> Energy:
    """A month of the centre; where nothing can run, of one without work."""
    done = [(o.seconds, o.energy) for o in outcomes if o.energy is not None and o.seconds < inf]
    total_s = sum(seconds for seconds, _ in done)
    idle = idle_energy(centre, fixed)
    if not total_s:
        return idle
    parts = [(centre.use_share * seconds / total_s, energy) for seconds, energy in done]
    return mixed([*parts, (1 - centre.use_share, idle)])
