"""Energy of a month, part by part; and of a job."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.centre import facts
from suiren.centre.month import Month
from suiren.centre.power import Fixed
from suiren.centre.site import J_PER_KWH, MONTH_S, Centre
from suiren.centre.training import Trained

#: What draws, in the order pictures stack it.
DRAWS = ("cards", "cards idle", "hosts", "network", "storage", "cooling")


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules by part over a time; the parts sum to the meter's."""

    parts_j: dict[str, float]
    seconds: float

    @property
    def total_j(self) -> float:
        """At the meter."""
        return sum(self.parts_j.values())

    @property
    def machines_j(self) -> float:
        """Without cooling."""
        return self.total_j - self.parts_j["cooling"]

    @property
    def average_w(self) -> float:
        """Average power at the meter."""
        return self.total_j / self.seconds

    @property
    def kwh(self) -> float:
        """At the meter."""
        return self.total_j / J_PER_KWH

    def over(self, seconds: float) -> Energy:
        """The same mixture over another time."""
        scale = seconds / self.seconds
        return Energy({name: j * scale for name, j in self.parts_j.items()}, seconds)


def energy_of(trained: Trained, month: Month, centre: Centre, fixed: Fixed) -> Energy:
    """A month of the job: its cards at their average power while they work, idle otherwise."""
    working_s = month.working * MONTH_S
    idle_w = float(centre.card.idle_w)
    idle_card_s = centre.cards * MONTH_S - trained.ranks * working_s
    return _with_cooling(centre, {
        "cards": trained.ranks * trained.average_w * working_s, "cards idle": idle_w * idle_card_s,
        "hosts": float(centre.nodes * centre.host_w) * MONTH_S,
        "network": fixed.network_w * MONTH_S, "storage": fixed.storage_w * MONTH_S,
    })  # fmt: skip


def idle_energy(centre: Centre, fixed: Fixed) -> Energy:
    """A month without work."""
    hosts_w = float(centre.nodes * centre.host_w * facts.SITE_IDLE_SHARE)
    return _with_cooling(centre, {
        "cards": 0.0, "cards idle": centre.cards * float(centre.card.idle_w) * MONTH_S,
        "hosts": hosts_w * MONTH_S, "network": fixed.network_w * MONTH_S,
        "storage": fixed.storage_w * MONTH_S,
    })  # fmt: skip


def mixed(parts: list[tuple[float, Energy]]) -> Energy:
    """A month in which each energy holds for a share of the time; the shares sum to 1."""
    total = dict.fromkeys(DRAWS, 0.0)
    for share, energy in parts:
        for name, joules in energy.over(MONTH_S).parts_j.items():
            total[name] += share * joules
    return Energy(total, MONTH_S)


def _with_cooling(centre: Centre, parts: dict[str, float]) -> Energy:
    cooling = float(centre.power.pue - 1) * sum(parts.values())
    return Energy({**parts, "cooling": cooling}, MONTH_S)
