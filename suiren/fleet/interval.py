"""How often to save: Young's and Daly's formulas, and the best interval by trying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, inf, sqrt
from statistics import fmean

from suiren.fleet.faults import Faults, Recovery
from suiren.fleet.goodput import Goodput, Job, follow
from suiren.fleet.histories import draw_history

_COARSE, _FINE = 17, 9


def young_s(pause_s: float, mtbf_s: float) -> float:
    """Young's interval between checkpoints (1974), in seconds of work: sqrt(2 × pause × MTBF)."""
    return sqrt(2 * pause_s * mtbf_s)


def daly_s(pause_s: float, mtbf_s: float) -> float:
    """Daly's higher-order interval (2006), in seconds of work."""
    if pause_s >= 2 * mtbf_s or mtbf_s == inf:
        return mtbf_s
    x = sqrt(pause_s / (2 * mtbf_s))
    return young_s(pause_s, mtbf_s) * (1 + x / 3 + x * x / 9) - pause_s


def expected_share(work_s: float, pause_s: float, recovery_s: float, mtbf_s: float) -> float:
    """Daly's complete model: share of time kept with exponential failures, those in recovery too.

    `work_s` of work, then a blocking save of `pause_s`; after a failure `recovery_s` pass, and a
    failure in them starts them anew.
    """
    if mtbf_s == inf:
        return work_s / (work_s + pause_s)
    rate = 1 / mtbf_s
    return rate * work_s / (exp(rate * recovery_s) * (exp(rate * (work_s + pause_s)) - 1))


@dataclass(frozen=True)
class Interval:
    """The best number of steps between checkpoints, and what the others give."""

    every_steps: int
    share: float
    """Goodput, averaged over the histories that were tried."""
    curve: tuple[tuple[int, float], ...]
    """(steps, goodput) of everything tried, by steps."""
    young_steps: float
    daly_steps: float


def runs(
    job: Job, faults: Faults, recovery: Recovery, horizon_s: float, seeds: Sequence[int]
) -> list[Goodput]:
    """One run a seed."""
    found = []
    for seed in seeds:
        history = draw_history(faults, job.chips, job.nodes, horizon_s, seed)
        found.append(follow(job, faults, recovery, horizon_s, history))
    return found


def best_interval(
    job: Job, faults: Faults, recovery: Recovery, horizon_s: float, seeds: Sequence[int]
) -> Interval:
    """Tries intervals on the same histories: first far apart, then around the best."""
    rate = faults.rate_per_s(job.chips, job.nodes)
    mtbf_s = 1 / rate if rate else inf
    pause_s = job.checkpoint.pause_s
    most = max(1, int(horizon_s / job.step_s))
    tried: dict[int, float] = {}

    def share(steps: int) -> float:
        if steps not in tried:
            saving = replace(job, checkpoint=replace(job.checkpoint, every_steps=steps))
            tried[steps] = fmean(r.share for r in runs(saving, faults, recovery, horizon_s, seeds))
        return tried[steps]

    for steps in _spread(1, most, _COARSE):
        share(steps)
    for _ in range(3):
        best = max(tried, key=lambda s: (tried[s], s))
        known = sorted(tried)
        at = known.index(best)
        for steps in _spread(known[max(0, at - 1)], known[min(len(known) - 1, at + 1)], _FINE):
            share(steps)
    best = max(tried, key=lambda s: (tried[s], s))
    work = young_s(pause_s, mtbf_s), daly_s(pause_s, mtbf_s)
    return Interval(best, tried[best], tuple(sorted(tried.items())),
                    *(max(1.0, w / job.step_s) for w in work))  # fmt: skip


def _spread(first: int, last: int, count: int) -> list[int]:
    """About `count` whole numbers from `first` to `last`, evenly in their logarithm."""
    ratio = (last / first) ** (1 / (count - 1))
    return sorted({min(last, max(first, round(first * ratio**i))) for i in range(count)})
