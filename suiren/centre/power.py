"""What a centre draws at its peak, and the cap on each card that limits leave."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from suiren.centre import facts
from suiren.centre.site import TB, Centre
from suiren.centre.switches import Switches, switches_of


@dataclass(frozen=True, slots=True)
class Fixed:
    """What draws the same whatever the cards do. Watts."""

    switches: Switches
    network_w: float
    storage_w: float
    storage_bytes: float


@dataclass(frozen=True, slots=True)
class Cap:
    """The power that limits leave each card. Watts."""

    card_w: float
    """Never above the card's own limit."""
    why: str
    """`card`: only its own limit; `rack` or `site`: that limit is lower."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Power at its peak, by part; the parts sum to the meter's. Watts."""

    parts_w: dict[str, float]
    rack_w: float
    """One full rack of nodes."""

    @property
    def meter_w(self) -> float:
        """All of it, cooling included."""
        return sum(self.parts_w.values())

    @property
    def machines_w(self) -> float:
        """Without cooling."""
        return self.meter_w - self.parts_w["cooling"]


def fixed_of(centre: Centre, checkpoint_bytes: float) -> Fixed:
    """Network and storage for checkpoints of that size."""
    network, storage = centre.network, centre.storage
    switches = switches_of(centre.nodes, network.nics, network.ports, network.oversubscription)
    network_w = switches.switches * network.switch_w + switches.optics * network.optic_w
    kept = storage.kept * checkpoint_bytes + storage.data_bytes
    drawn = storage.power_w
    storage_w = float(kept / TB * facts.STORAGE_W_PER_TB if drawn is None else drawn)
    return Fixed(switches, network_w, storage_w, kept)


def cap_of(centre: Centre, fixed: Fixed) -> Cap:
    """The highest power of a card with which racks and site stay within their limits.

    All cards and hosts are taken at their peak at once. At or below 0 nothing is left for cards.
    """
    per_node = {
        "rack": inf if centre.rack_limit_w is None else centre.rack_limit_w / centre.nodes_per_rack,
        "site": (centre.limit_w / centre.power.pue - fixed.network_w - fixed.storage_w)
        / centre.nodes,
    }
    why = min(per_node, key=lambda name: per_node[name])
    left_w = (per_node[why] - centre.host_peak_w) / centre.cards_per_node
    own_w = float(centre.card.tdp_w)
    return Cap(own_w, "card") if left_w >= own_w else Cap(left_w, why)


def peak_of(centre: Centre, fixed: Fixed, card_w: float) -> Peak:
    """The peak with every card at `card_w`."""
    parts = {
        "cards": centre.cards * card_w,
        "hosts": float(centre.nodes * centre.host_peak_w),
        "network": fixed.network_w,
        "storage": fixed.storage_w,
    }
    parts["cooling"] = (centre.power.pue - 1) * sum(parts.values())
    in_rack = min(centre.nodes, centre.nodes_per_rack)
    return Peak(parts, in_rack * (centre.cards_per_node * card_w + centre.host_peak_w))
