"""Where the time of all bought cards goes: what bounds a job, as shares that sum to 1."""

from __future__ import annotations

from suiren.centre.site import Centre
from suiren.centre.study import Outcome

#: Parts of a step by what they wait for.
_KIND = {
    "matrix": "compute", "vector": "compute", "given": "compute", "memory": "memory",
    "optimizer": "memory", "launch": "host", "host": "host", "bubble": "pipeline",
    "offload": "host",
}  # fmt: skip
_LOST = ("lost work", "detection", "waiting for a node", "restart")
#: In the order pictures stack them.
BOUNDS = (
    "compute", "memory", "network", "pipeline", "host", "power", "checkpoints", "failures",
    "idle cards",
)  # fmt: skip


def bounds_of(outcome: Outcome, centre: Centre) -> dict[str, float]:
    """Share of all cards' time by what it goes to; what no part names is the network's.

    `power` is what a cap below the card's own limit adds; `idle cards` those that the layout does
    not use and the spares.
    """
    found = dict.fromkeys(BOUNDS, 0.0)
    trained, month = outcome.trained, outcome.month
    if month is None:
        return found
    used = trained.ranks / centre.cards
    found["idle cards"] = 1 - used
    found["checkpoints"] = used * month.spent["checkpoints"]
    found["failures"] = used * sum(month.spent[part] for part in _LOST)
    stepping = used - found["checkpoints"] - found["failures"]
    for part, seconds in trained.parts_s.items():
        found[_KIND.get(part, "network")] += stepping * seconds / trained.step_s
    capped = stepping * (trained.step_s - trained.uncapped_s) / trained.step_s
    capped = min(capped, found["compute"])
    found["compute"] -= capped
    found["power"] = capped
    return found


def largest(bounds: dict[str, float]) -> str:
    """What takes most beside computing."""
    return max((name for name in BOUNDS if name != "compute"), key=lambda name: bounds[name])
