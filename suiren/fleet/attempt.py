"""Training between two failures: how many checkpoints it reaches, and where its time goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from suiren.fleet.histories import Array, StepTime

if TYPE_CHECKING:
    from suiren.fleet.goodput import Checkpoint

_CHUNK = 65536


class Clock:
    """The job's own clock, which runs slower than the wall's while a link is weak."""

    def __init__(self, weak_start_s: Array, weak_end_s: Array, slowdown: float) -> None:
        self.is_even = len(weak_start_s) == 0 or slowdown == 1
        if self.is_even:
            return
        lengths = weak_end_s - weak_start_s
        lost = np.cumsum(lengths) * (1 - 1 / slowdown)
        self._wall = np.stack([weak_start_s, weak_end_s], axis=1).ravel()
        before = np.concatenate([[0.0], lost[:-1]])
        self._work = np.stack([weak_start_s - before, weak_end_s - lost], axis=1).ravel()

    def _to(self, x: float, here: Array, there: Array) -> float:
        if x <= here[0]:
            return float(there[0] + x - here[0])
        if x >= here[-1]:
            return float(there[-1] + x - here[-1])
        return float(np.interp(x, here, there))

    def work_s(self, start_s: float, end_s: float) -> float:
        """Seconds of the job's clock between two times of the wall's."""
        if self.is_even:
            return end_s - start_s
        return self._to(end_s, self._wall, self._work) - self._to(start_s, self._wall, self._work)

    def after(self, start_s: float, work_s: float) -> float:
        """The wall's time when `work_s` of the job's clock have passed since `start_s`."""
        if self.is_even:
            return start_s + work_s
        work = self._to(start_s, self._wall, self._work) + work_s
        return self._to(work, self._work, self._wall)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of an attempt, in seconds of the job's clock."""

    steps: float
    clock_s: float
    """From its start to the end of the last checkpoint that counts."""
    stepping_s: float
    saving_s: float


class Attempt:
    """Cycles of `every_steps` steps and a checkpoint, from a start until something ends them.

    A checkpoint written in the background must be done before the next one may begin.
    """

    def __init__(
        self, step_s: float, checkpoint: Checkpoint, pace: StepTime, rng: np.random.Generator
    ) -> None:
        self.step_s, self.checkpoint, self.pace, self.rng = step_s, checkpoint, pace, rng

    def kept(self, clock_s: float, fails: bool) -> Kept:
        """What counts of `clock_s` seconds: up to the last safe checkpoint, or all of it."""
        even = self._even(clock_s, fails) if self.pace.deviation == 0 else None
        return even or self._uneven(clock_s, fails)

    def _even(self, clock_s: float, fails: bool) -> Kept:
        """All cycles alike: counted by division."""
        save = self.checkpoint
        work = save.every_steps * self.step_s * self.pace.mean
        first, cycle = work + save.pause_s, max(work, save.lag_s) + save.pause_s
        left = clock_s - first - (save.lag_s if fails else 0.0)
        count = 0 if left < 0 else 1 + int(left // cycle)
        ended = first + (count - 1) * cycle if count else 0.0
        return self._told(clock_s, fails, count, ended, count * work, work)

    def _uneven(self, clock_s: float, fails: bool) -> Kept:
        """Cycles of drawn lengths, summed chunk by chunk."""
        save, k = self.checkpoint, self.checkpoint.every_steps
        usable = clock_s - (save.lag_s if fails else 0.0)
        typical = k * self.step_s * self.pace.mean + save.pause_s
        count, ended, stepped = 0, 0.0, 0.0
        while True:
            size = min(_CHUNK, int(max(0.0, usable - ended) / typical) + 8)
            work = self.step_s * self.pace.sums(k, size, self.rng)
            cycle = np.maximum(work, save.lag_s) + save.pause_s
            if count == 0:
                cycle[0] = work[0] + save.pause_s
            ends = ended + np.cumsum(cycle)
            fit = int(np.searchsorted(ends, usable, side="right"))
            count += fit
            stepped += float(work[:fit].sum())
            ended = float(ends[fit - 1]) if fit else ended
            if fit < size:
                return self._told(clock_s, fails, count, ended, stepped, float(work[fit]))

    def _told(
        self, clock_s: float, fails: bool, count: int, ended: float, stepped: float, work: float
    ) -> Kept:
        """`count` whole cycles that took until `ended`, then one whose steps take `work`."""
        k = self.checkpoint.every_steps
        if fails:
            return Kept(count * k, ended, stepped, ended - stepped)
        part = min(clock_s - ended, work)
        steps = count * k + k * part / work
        return Kept(steps, clock_s, stepped + part, clock_s - stepped - part)
