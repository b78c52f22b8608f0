"""What a fleet goes through, drawn under a seed: failures, weak links, slow chips, step times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, log, sqrt

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.faults import Failures, Faults

Array = NDArray[np.float64]
#: A sum of more steps than this is drawn as a normal number with the sum's mean and variance.
SUMMED_STEPS = 16
_GRID, _REACH = 4001, 9.0
#: Streams of random numbers of one seed, so that one kind of fault does not shift another.
_LINKS, _CHIPS, _STEPS, _FAILURES = 0, 1, 2, 3


@dataclass(frozen=True, eq=False)
class History:
    """Everything that befalls one run, whatever the run does about it."""

    failure_s: Array
    """Times of failures, ascending."""
    failure_kind: NDArray[np.int64]
    """Of each, the index into `Faults.failures`."""
    weak_start_s: Array
    weak_end_s: Array
    """Times during which at least one link is weak; disjoint, ascending."""
    slow_chips: int
    steps: np.random.Generator
    """Draws step times."""


def draw_history(faults: Faults, chips: int, nodes: int, horizon_s: float, seed: int) -> History:
    """One history of `horizon_s` seconds; the same seed gives the same history."""
    drawn = [
        _failure_times(f, f.count(chips, nodes), horizon_s, _generator(seed, _FAILURES + i))
        for i, f in enumerate(faults.failures)
    ]
    times = np.concatenate([*drawn, np.empty(0)])
    kinds = np.repeat(np.arange(len(drawn)), [len(d) for d in drawn])
    order = np.argsort(times, kind="stable")
    start, end = _weak(faults, chips, horizon_s, _generator(seed, _LINKS))
    slow = int(_generator(seed, _CHIPS).binomial(chips, float(faults.stragglers.share)))
    return History(times[order], kinds[order], start, end, slow, _generator(seed, _STEPS))


def given_history(failures: Sequence[tuple[float, int]] = (), slow_chips: int = 0) -> History:
    """A history that is stated, not drawn: (time in s, kind) of every failure, in order."""
    times = np.array([t for t, _ in failures], dtype=np.float64)
    kinds = np.array([k for _, k in failures], dtype=np.int64)
    return History(times, kinds, np.empty(0), np.empty(0), slow_chips, _generator(0, _STEPS))


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _failure_times(kind: Failures, parts: int, horizon_s: float, rng: np.random.Generator) -> Array:
    """Renewals of `parts` independent parts, all new at 0; unsorted."""
    scale, power = kind.scale_s(), 1 / float(kind.shape)
    found: list[Array] = []
    now = scale * rng.standard_exponential(parts) ** power
    now = now[now < horizon_s]
    while len(now):
        found.append(now)
        now = now + scale * rng.standard_exponential(len(now)) ** power
        now = now[now < horizon_s]
    return np.concatenate(found) if found else np.empty(0)


def _weak(
    faults: Faults, chips: int, horizon_s: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Starts and ends of the times in which at least one link is weak."""
    links = faults.weak_links
    if links.mean_s is None:
        return np.empty(0), np.empty(0)
    onsets = rng.poisson(chips * horizon_s / float(links.mean_s))
    start = np.sort(rng.random(onsets)) * horizon_s
    until = np.maximum.accumulate(
        start + float(links.duration_s) * rng.standard_exponential(onsets)
    )
    if not onsets:
        return start, until
    first = np.concatenate([[True], start[1:] > until[:-1]])
    last = np.concatenate([first[1:], [True]])
    return start[first], np.minimum(until[last], horizon_s)


class StepTime:
    """The time of a step over the stated one: the largest of every rank's lognormal factor.

    `chips` sound chips and, of these, `slow` ones that take `slowdown` times as long.
    """

    def __init__(self, sigma: float, chips: int, slow: int = 0, slowdown: float = 1.0) -> None:
        self.sigma = sigma
        if sigma == 0:
            self.mean, self.deviation = (slowdown if slow else 1.0), 0.0
            return
        shift = log(slowdown) / sigma if slow else 0.0
        z = np.linspace(-_REACH, _REACH + shift, _GRID)
        below = np.exp((chips - slow) * _log_normal(z) + slow * _log_normal(z - shift))
        factor, above = np.exp(sigma * z), 1 - below
        self.mean = float(factor[0] + np.trapezoid(above, factor))
        square = float(factor[0] ** 2 + np.trapezoid(2 * factor * above, factor))
        self.deviation = sqrt(max(0.0, square - self.mean**2))
        rising = np.concatenate([[True], np.diff(below) > 0])
        self._share, self._factor = below[rising], factor[rising]

    def sums(self, steps: int, count: int, rng: np.random.Generator) -> Array:
        """`count` sums of `steps` independent steps' factors."""
        if self.sigma == 0:
            return np.full(count, steps * self.mean)
        if steps <= SUMMED_STEPS:
            drawn = np.interp(rng.random((count, steps)), self._share, self._factor)
            return np.asarray(drawn.sum(axis=1), dtype=np.float64)
        total = rng.normal(steps * self.mean, sqrt(steps) * self.deviation, count)
        return np.maximum(total, steps * float(self._factor[0]))


def _log_normal(z: Array) -> Array:
    """The logarithm of the standard normal distribution."""
    return np.log([max(0.5 * (1 + erf(x / sqrt(2))), 1e-300) for x in z])
