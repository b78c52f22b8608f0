"""A group's nodes folded into one: what one of them does, all do.

Nodes of a group are alike and do the same at the same time, so one stands for all: a message to
the next node leaves through a NIC and, as its twin from the node before, comes in through one.
The graph is that of one node, whatever the number of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster
from suiren.hw.route import latency_s, one_route, route
from suiren.hw.topology import FABRIC, Topology
from suiren.hw.wiring import NIC_S, topology_of

#: Names of the two wires beyond the node's own: its share of the upper switches, up and down.
UPPER = "upper switches"

Ways = tuple[tuple[int, float], ...]


class NoNetwork(ValueError):  # noqa: N818 - reads as what it is
    """A group spreads over nodes that have no NIC; the message names the node."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The folded graph of a group."""

    topology: Topology
    place: Place
    capacity_bytes_per_s: tuple[float, ...]
    media: tuple[str, ...]
    """What each wire is made of."""
    crossing: float
    """Share of the messages to the next node that cross the upper switches."""
    far_crossing: float
    """The same for messages to any node of the group."""
    name: str

    def inside(self, start: int, end: int) -> Ways:
        """The wires from one card to another of its node."""
        cards = self.topology.cards
        return route(self.topology, cards[start], cards[end])

    def between(self, start: int, end: int, crossing: float | None = None) -> Ways:
        """The wires from a card to a card of another node."""
        cards, up = self.topology.cards, len(self.topology.wires)
        if FABRIC not in self.topology.vertices:
            raise NoNetwork(f"{self.name} has no NIC: a group cannot spread over such nodes")
        out = route(self.topology, cards[start], FABRIC)
        back = route(self.topology, FABRIC, cards[end])
        crossing = self.crossing if crossing is None else crossing
        upper = ((up, crossing), (up + 1, crossing)) if crossing > 0 else ()
        return (*out, *back, *upper)

    def crossing_over(self, apart: int) -> float:
        """Share of messages that cross the upper switches where pairs lie so many ranks apart.

        Pairs of halves of aligned blocks stay below a switch that holds whole blocks.
        """
        if self.crossing == 0 or (1 / self.crossing) % (2 * apart) == 0:
            return 0.0
        return min(1.0, apart * self.crossing)

    def one_way(self, start: int, end: int) -> Ways:
        """As `between`, but through one NIC at each end: a message is not split."""
        cards, crossing = self.topology.cards, self.between(start, end)
        own = len(self.topology.wires)
        out = one_route(self.topology, cards[start], FABRIC)
        back = one_route(self.topology, FABRIC, cards[end])
        return (*out, *back, *((n, share) for n, share in crossing if n >= own))

    def inside_s(self, start: int, end: int) -> float:
        """Seconds of latency from one card to another of its node."""
        return latency_s(self.topology, self.inside(start, end))

    def between_s(self, start: int, end: int) -> float:
        """Seconds of latency to a card of another node; upper switches cost two hops more."""
        own = [(n, share) for n, share in self.between(start, end) if n < len(self.topology.wires)]
        return latency_s(self.topology, tuple(own)) + 2 * NIC_S * self.crossing

    def groups(self) -> list[tuple[int, ...]]:
        """The group's cards in a node, and those of its siblings."""
        local, count = self.place.local, len(self.topology.cards)
        found, used = [local], set(local)
        for shift in range(1, count):
            if len(found) == self.place.siblings:
                break
            moved = tuple((card + shift) % count for card in local)
            if not used & set(moved):
                found.append(moved)
                used |= set(moved)
        return found


@lru_cache(maxsize=4096)
def _fold(
    topology: Topology, place: Place, leaf: float, upper_bytes_per_s: float, name: str
) -> Fold:
    span = place.nodes * place.distance
    inside_leaf = span <= leaf
    wires = topology.wires
    return Fold(
        topology=topology,
        place=place,
        capacity_bytes_per_s=(*(float(w.bytes_per_s) for w in wires), *(upper_bytes_per_s,) * 2),
        media=(*(w.medium for w in wires), UPPER, UPPER),
        crossing=0.0 if inside_leaf else min(1.0, place.distance / leaf),
        far_crossing=0.0 if inside_leaf else max(0.0, 1 - leaf / span),
        name=name,
    )


def fold(cluster: Cluster, place: Place) -> Fold:
    """The folded graph of a group on a cluster; raises ValueError for cards it has not."""
    topology = topology_of(cluster.node)
    most = max(place.local)
    if most >= len(topology.cards):
        raise ValueError(f"{cluster.node.name} has {len(topology.cards)} cards; "
                         f"the group names card {most}")  # fmt: skip
    leaf = float(cluster.nodes_per_leaf or cluster.num_nodes)
    nics = float(cluster.node.nics or 0) * float(cluster.node.nic_bytes_per_s or 0)
    upper = nics / float(cluster.oversubscription or 1.0)
    return _fold(topology, place, leaf, upper, cluster.node.name)
