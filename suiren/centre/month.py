"""A job's month: failures, the best interval between checkpoints, spares, what is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from statistics import fmean

from suiren.centre.site import MONTH_S, Centre
from suiren.centre.training import Trained
from suiren.fleet.faults import Failures, Faults, Recovery
from suiren.fleet.goodput import PARTS, Checkpoint, Goodput, Job
from suiren.fleet.interval import best_interval, daly_s, expected_share, runs

#: Months that are followed, with seeds from the study's on; the first one is shown.
HISTORIES = 8
#: Time in which cards work, kept or not.
WORKING = ("training", "jitter", "slow chips", "weak links", "lost work")


@dataclass(frozen=True)
class Month:
    """A month of one job."""

    job: Job
    checkpoint_bytes: float
    runs: tuple[Goodput, ...]
    """One a seed."""
    mtbf_s: float
    """Between failures of the whole job; infinite where nothing fails."""

    @cached_property
    def share(self) -> float:
        """Goodput: the mean of all runs."""
        return fmean(run.share for run in self.runs)

    @cached_property
    def spent(self) -> dict[str, float]:
        """Share of the month by `PARTS`, the mean of all runs; sums to 1."""
        return {part: fmean(r.spent_s[part] for r in self.runs) / MONTH_S for part in PARTS}

    @property
    def working(self) -> float:
        """Share of the month in which cards work, what is lost later included."""
        return sum(self.spent[part] for part in WORKING)


def faults_of(centre: Centre, switches: int) -> Faults:
    """What fails of a job that spans the whole fabric; a failed switch stops it."""
    if centre.switch_mean_s is None or switches == 0:
        return centre.faults
    mean_s = centre.switch_mean_s
    one = Failures(
        part="switch", per="job", takes_node=False, mean_s=mean_s.at(mean_s / switches)
    )
    return replace(centre.faults, failures=(*centre.faults.failures, one))


def month_of(
    trained: Trained, centre: Centre, switches: int, seed: int, histories: int = HISTORIES
) -> Month:
    """The month with the interval between checkpoints that keeps most."""
    write_s = trained.checkpoint_bytes / float(centre.storage.bytes_per_s)
    pause_s, lag_s = write_s, 0.0
    if centre.storage.background:
        # a card's share leaves over its host link, then the nodes write on
        each = trained.checkpoint_bytes / trained.ranks
        pause_s, lag_s = each / float(centre.card.host_bytes_per_s), write_s
    save = Checkpoint(every_steps=1, pause_s=pause_s, lag_s=lag_s, load_s=write_s)
    job = Job(chips=trained.ranks, chips_per_node=centre.cards_per_node, step_s=trained.step_s,
              checkpoint=save)  # fmt: skip
    faults = faults_of(centre, switches)
    seeds = range(seed, seed + histories)
    best = best_interval(job, faults, centre.recovery, MONTH_S, seeds)
    job = replace(job, checkpoint=replace(save, every_steps=best.every_steps))
    failing = faults.rate_per_s(job.chips, job.nodes)
    return Month(
        job, trained.checkpoint_bytes, tuple(runs(job, faults, centre.recovery, MONTH_S, seeds)),
        1 / failing if failing else inf,
    )  # fmt: skip


def smooth_share(
    month: Month, recovery: Recovery, rate: float = 1.0, restart: float = 1.0, storage: float = 1.0
) -> float:
    """Goodput by Daly's model, with failures, restart and storage so many times today's.

    Free of chance, so that small differences can be told; waiting for nodes is not in it.
    """
    if month.mtbf_s == inf:
        return 1.0
    save = month.job.checkpoint
    pause_s, mtbf_s = save.pause_s / storage, month.mtbf_s / rate
    down_s = float(recovery.detect_s) + restart * recovery.restart_s + save.load_s / storage
    work_s = max(month.job.step_s, daly_s(pause_s, mtbf_s))
    return expected_share(work_s, pause_s, down_s, mtbf_s)
