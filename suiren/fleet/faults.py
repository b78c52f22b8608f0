"""What goes wrong in a fleet, as stated distributions: failures, jitter, slow chips, weak links.

Every number is a Fact. Nothing is drawn here; `histories.py` draws, under a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gamma

from suiren.hw.fact import Fact, assumed

S_PER_H, S_PER_DAY = 3600.0, 86400.0

#: What there may be many of: one for every chip, for every node, or one for the whole job.
PER = ("chip", "node", "job")

#: What is taken where nothing is said.
CONSTANT_RATE = assumed(1.0, "a constant rate: parts neither wear in nor out")
NO_JITTER = assumed(0.0, "every rank takes the stated time")
NO_SLOW_CHIPS = assumed(0.0, "no slow chips unless stated")
SLOW = assumed(1.1, "a slow chip's step over a sound one's")
HALF_A_LINK = assumed(0.5, "one of two lanes or one of two ports lost")
HALF_AN_HOUR_S = assumed(1800.0, "half an hour until the link is reset or drained")
DETECTION_S = assumed(
    180.0, "a collective's time-out is minutes; heartbeats find most failures sooner"
)
RESTART_S = assumed(
    420.0, "start of processes, communicators and data on thousands of ranks, without loading"
)
REPAIR_S = assumed(S_PER_DAY, "drain, test, reseat or replace, test again: a day")


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Failures of one kind of part: each part lives a Weibull time, then it is renewed."""

    part: str
    """What fails, in the reader's words: `chip`, `host`, `NIC`."""
    per: str
    """How many there are: one per `chip`, per `node`, or one for the `job`."""
    mean_s: Fact
    """Mean time between failures of one part."""
    shape: Fact = CONSTANT_RATE
    """Weibull's shape: 1 is exponential; below 1, parts that just failed fail again sooner."""
    takes_node: bool = True
    """Whether the node leaves for repair; else a restart is enough."""

    def __post_init__(self) -> None:
        """Raises ValueError for a time or a shape that is not positive, or an unknown `per`."""
        if self.per not in PER:
            raise ValueError(f"failures are per {', '.join(PER)}; {self.per!r} is none of these")
        if self.mean_s <= 0 or self.shape <= 0:
            raise ValueError(f"mean time and shape of the failures of {self.part} must be positive")

    def count(self, chips: int, nodes: int) -> int:
        """Parts of this kind in a job."""
        return {"chip": chips, "node": nodes, "job": 1}[self.per]

    def scale_s(self) -> float:
        """Weibull's scale, so that the mean is `mean_s`."""
        return float(self.mean_s) / gamma(1 + 1 / self.shape)

    def times(self, factor: float) -> Failures:
        """The same parts, failing `factor` times as often."""
        return replace(self, mean_s=self.mean_s.at(self.mean_s / factor))


@dataclass(frozen=True, kw_only=True)
class Jitter:
    """How a rank's step varies by chance, anew in every step and rank: lognormal, median 1."""

    sigma: Fact = NO_JITTER


@dataclass(frozen=True, kw_only=True)
class Stragglers:
    """Chips that are slow for as long as the job runs; a step waits for the slowest."""

    share: Fact = NO_SLOW_CHIPS
    """Probability that a chip is slow."""
    slowdown: Fact = SLOW

    def __post_init__(self) -> None:
        """Raises ValueError for a share outside 0 to 1 or a slowdown below 1."""
        if not 0 <= self.share <= 1:
            raise ValueError(f"the share of slow chips is from 0 to 1, not {float(self.share):g}")
        if self.slowdown < 1:
            raise ValueError(f"a slow chip takes at least 1 × the time, not {self.slowdown:g} ×")


@dataclass(frozen=True, kw_only=True)
class WeakLinks:
    """Links that lose bandwidth for a while; exposed communication waits for the weakest."""

    mean_s: Fact | None = None
    """Mean time between two onsets at one chip's link; None for never."""
    bandwidth_left: Fact = HALF_A_LINK
    """Share of the bandwidth that is left."""
    duration_s: Fact = HALF_AN_HOUR_S
    """Mean of the exponential time it lasts."""

    def __post_init__(self) -> None:
        """Raises ValueError for a share outside (0, 1] or times that are not positive."""
        if not 0 < self.bandwidth_left <= 1:
            raise ValueError(
                f"a weak link keeps a share of its bandwidth, above 0 and at most 1, "
                f"not {float(self.bandwidth_left):g}"
            )
        if self.duration_s <= 0 or (self.mean_s is not None and self.mean_s <= 0):
            raise ValueError("the times of weak links must be positive")

    def slowdown(self, communication_share: float) -> float:
        """A step's time over the usual while a link is weak; the share is exposed communication."""
        return 1 + communication_share * (1 / float(self.bandwidth_left) - 1)


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """From a failure to the first step after it."""

    detect_s: Fact = DETECTION_S
    restart_s: Fact = RESTART_S
    repair_s: Fact = REPAIR_S
    """Time until a node that failed may serve as a spare."""
    spare_nodes: int = 0

    def __post_init__(self) -> None:
        """Raises ValueError for a negative time or number of spares."""
        if min(self.detect_s, self.restart_s, self.repair_s, self.spare_nodes) < 0:
            raise ValueError("times of a recovery and the number of spare nodes cannot be negative")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Everything that goes wrong."""

    failures: tuple[Failures, ...] = ()
    jitter: Jitter = Jitter()
    stragglers: Stragglers = Stragglers()
    weak_links: WeakLinks = WeakLinks()

    def times(self, factor: float) -> Faults:
        """The same fleet with failures `factor` times as often."""
        return replace(self, failures=tuple(f.times(factor) for f in self.failures))

    def rate_per_s(self, chips: int, nodes: int) -> float:
        """Failures of the whole job a second, in the long run."""
        return sum(f.count(chips, nodes) / float(f.mean_s) for f in self.failures)
