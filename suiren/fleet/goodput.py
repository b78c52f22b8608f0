"""A training job over weeks: what share of the time is kept as progress, and what takes the rest.

The run is followed from event to event (failures, ends of recovery); the checkpoints between two
events are counted, not stepped through, so cost grows with events and not with steps.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

from suiren.fleet.attempt import Attempt, Clock
from suiren.fleet.faults import Faults, Recovery
from suiren.fleet.histories import History, StepTime, draw_history

#: What time goes to; the parts of a run sum to its length. `training` is the goodput.
PARTS = (
    "training", "jitter", "slow chips", "weak links", "checkpoints", "lost work", "detection",
    "waiting for a node", "restart",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """When state is saved, and what a save costs."""

    every_steps: int
    pause_s: float
    """Training stands still: the whole write if blocking, the copy to the host if not."""
    lag_s: float = 0.0
    """After the pause, until the checkpoint could be loaded; 0 if blocking."""
    load_s: float = 0.0
    """To read it back after a failure."""

    def __post_init__(self) -> None:
        """Raises ValueError for no steps or negative times."""
        if self.every_steps < 1 or min(self.pause_s, self.lag_s, self.load_s) < 0:
            raise ValueError("a checkpoint comes every step at most, and takes no negative time")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job on a fleet."""

    chips: int
    chips_per_node: int
    step_s: float
    checkpoint: Checkpoint
    communication_share: float = 0.0
    """Share of a step that is exposed communication; what a weak link stretches."""

    def __post_init__(self) -> None:
        """Raises ValueError for sizes or times that are not positive."""
        if self.chips < 1 or self.chips_per_node < 1 or self.step_s <= 0:
            raise ValueError("chips, chips per node and the time of a step must be positive")

    @property
    def nodes(self) -> int:
        """Nodes the chips fill, the last perhaps in part."""
        return -(-self.chips // self.chips_per_node)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of the run that one thing took; the periods of a run tile it."""

    kind: str
    """`training`, `lost work`, `detection`, `waiting for a node`, `restart`."""
    start_s: float
    end_s: float
    why: str = ""
    """The part that failed."""


@dataclass(frozen=True)
class Goodput:
    """What became of a run."""

    horizon_s: float
    spent_s: dict[str, float]
    """By `PARTS`; sums to the horizon."""
    steps: float
    """Steps of progress at the end, the one in hand as a fraction."""
    failures: dict[str, int]
    """By part."""
    periods: tuple[Period, ...]

    @property
    def share(self) -> float:
        """Time of progress at the stated step time, over all time."""
        return self.spent_s["training"] / self.horizon_s

    @cached_property
    def num_failures(self) -> int:
        """Failures of all parts."""
        return sum(self.failures.values())


def simulate(
    job: Job, faults: Faults, recovery: Recovery, horizon_s: float, seed: int = 0
) -> Goodput:
    """One run of `horizon_s` seconds; the same seed gives the same run."""
    history = draw_history(faults, job.chips, job.nodes, horizon_s, seed)
    return follow(job, faults, recovery, horizon_s, history)


def follow(
    job: Job, faults: Faults, recovery: Recovery, horizon_s: float, history: History
) -> Goodput:
    """The run that a history leads to."""
    return _Run(job, faults, recovery, horizon_s, history).result()


class _Run:
    def __init__(
        self, job: Job, faults: Faults, recovery: Recovery, horizon_s: float, history: History
    ) -> None:
        self.job, self.faults, self.recovery = job, faults, recovery
        self.horizon_s, self.history = horizon_s, history
        self.clock = Clock(
            history.weak_start_s, history.weak_end_s,
            faults.weak_links.slowdown(job.communication_share),
        )  # fmt: skip
        sigma, slow = float(faults.jitter.sigma), faults.stragglers.slowdown
        self.pace = StepTime(sigma, job.chips, history.slow_chips, float(slow))
        self.slow_share = self.pace.mean - StepTime(sigma, job.chips).mean
        self.spares = [0.0] * recovery.spare_nodes
        heapify(self.spares)
        self.spent = dict.fromkeys(PARTS, 0.0)
        self.steps, self.failures = 0.0, Counter[str]()
        self.periods: list[Period] = []

    def result(self) -> Goodput:
        now, index = 0.0, 0
        while now < self.horizon_s:
            failed_s = self._failure(index)
            self._train(now, min(failed_s, self.horizon_s), failed_s < self.horizon_s, index)
            if failed_s >= self.horizon_s:
                break
            now, index = self._recover(index)
        return Goodput(
            self.horizon_s, self.spent, self.steps, dict(self.failures), tuple(self.periods)
        )

    def _failure(self, index: int) -> float:
        times = self.history.failure_s
        return float(times[index]) if index < len(times) else float("inf")

    def _part(self, index: int) -> str:
        return self.faults.failures[int(self.history.failure_kind[index])].part

    def _train(self, start_s: float, end_s: float, fails: bool, index: int) -> None:
        """From `start_s` to a failure, or to the end of the run, where all progress counts."""
        job, clock = self.job, self.clock
        attempt = Attempt(job.step_s, job.checkpoint, self.pace, self.history.steps)
        kept = attempt.kept(clock.work_s(start_s, end_s), fails)
        kept_s = clock.after(start_s, kept.clock_s) if fails else end_s
        self.steps += kept.steps
        base = kept.steps * job.step_s
        slow = base * self.slow_share
        self.spent["training"] += base
        self.spent["slow chips"] += slow
        if self.pace.deviation:
            self.spent["jitter"] += kept.stepping_s - base - slow
        self.spent["checkpoints"] += kept.saving_s
        if not clock.is_even:
            self.spent["weak links"] += (kept_s - start_s) - kept.stepping_s - kept.saving_s
        self._period("training", start_s, kept_s)
        if fails:
            self._spend("lost work", kept_s, end_s, self._part(index))

    def _recover(self, index: int) -> tuple[float, int]:
        """From failure `index` on: when training goes on, and the first failure after that."""
        recovery, ready_s = self.recovery, 0.0
        while True:
            failed_s, why = self._failure(index), self._part(index)
            self.failures[why] += 1
            found_s = failed_s + float(recovery.detect_s)
            if self.faults.failures[int(self.history.failure_kind[index])].takes_node:
                heappush(self.spares, found_s + float(recovery.repair_s))
                ready_s = max(ready_s, heappop(self.spares))
            start_s = max(found_s, ready_s)
            up_s = start_s + float(recovery.restart_s) + self.job.checkpoint.load_s
            index += 1
            end_s = min(self._failure(index), self.horizon_s)
            for kind, first, last in (
                ("detection", failed_s, found_s), ("waiting for a node", found_s, start_s),
                ("restart", start_s, up_s),
            ):  # fmt: skip
                self._spend(kind, min(first, end_s), min(last, end_s), why)
            if up_s <= end_s or end_s == self.horizon_s:
                return up_s, index

    def _spend(self, kind: str, start_s: float, end_s: float, why: str) -> None:
        self.spent[kind] += end_s - start_s
        self._period(kind, start_s, end_s, why)

    def _period(self, kind: str, start_s: float, end_s: float, why: str = "") -> None:
        if end_s > start_s:
            self.periods.append(Period(kind, start_s, end_s, why))
