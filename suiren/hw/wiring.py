"""Wirings that nodes share: PCIe trees, meshes, switches, tori, as builders of a Topology."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, product

from suiren.hw.fact import Fact, assumed
from suiren.hw.spec import Node
from suiren.hw.topology import FABRIC, Topology, VertexKind, Wire
from suiren.units import us

#: From one vertex to the next; nobody publishes them one by one.
LINK_S = assumed(0.5 * us, "a direct link: vendors say below 1 µs (Enflame: LARE below 1 µs)")
SWITCH_S = assumed(0.25 * us, "a link to or from a switch of links: half a direct link's")
PCIE_S = assumed(0.3 * us, "one PCIe hop: switches are sold as 100 to 150 ns, plus the port")
SOCKET_S = assumed(0.5 * us, "from one CPU to the other")
NIC_S = assumed(1.0 * us, "a NIC and the first switch: adapters are sold as below 1 µs a hop")


@dataclass
class Wiring:
    """A topology in the making."""

    vertices: dict[str, VertexKind] = field(default_factory=dict)
    wires: list[Wire] = field(default_factory=list)

    def add(self, kind: VertexKind, count: int) -> list[str]:
        """`count` vertices named after their kind and number."""
        first = sum(1 for k in self.vertices.values() if k == kind)
        names = [FABRIC] if kind == "fabric" else [f"{kind}{first + i}" for i in range(count)]
        self.vertices.update(dict.fromkeys(names, kind))
        return names

    def join(self, a: str, b: str, medium: str, rate: Fact, latency: Fact) -> None:
        """Both directions between two vertices, `rate` bytes per second each."""
        for start, end in ((a, b), (b, a)):
            self.wires.append(
                Wire(start=start, end=end, medium=medium, bytes_per_s=rate, latency_s=latency)
            )

    def mesh(self, cards: Iterable[str], medium: str, rate: Fact) -> None:
        """A link between any two of the cards."""
        for a, b in combinations(cards, 2):
            self.join(a, b, medium, rate, LINK_S)

    def switched(self, cards: Iterable[str], medium: str, rate: Fact) -> None:
        """All cards on one switch; planes that always run side by side are one here."""
        switch = self.add("switch", 1)[0]
        for card in cards:
            self.join(card, switch, medium, rate, SWITCH_S)

    def torus(self, cards: list[str], sides: tuple[int, ...], medium: str, rate: Fact) -> None:
        """Neighbours along every side; a side of more than two closes to a ring."""
        places = list(product(*(range(side) for side in reversed(sides))))
        number = dict(zip(places, cards, strict=True))
        for place, card in number.items():
            for axis, side in enumerate(reversed(sides)):
                nxt = (*place[:axis], (place[axis] + 1) % side, *place[axis + 1 :])
                if side > 2 or place[axis] + 1 < side:
                    self.join(card, number[nxt], medium, rate, LINK_S)

    def host(
        self, cards: list[str], medium: str, rate: Fact, *, cpus: int = 2, per_switch: int = 4,
        socket: Fact,
    ) -> list[str]:
        """A PCIe tree: `per_switch` cards under a PCIe switch, these under the CPUs.

        Returns the PCIe switches (the CPUs where `per_switch` is 0).
        """
        roots = self.add("cpu", cpus)
        for a, b in combinations(roots, 2):
            self.join(a, b, "CPU link", socket, SOCKET_S)
        if per_switch == 0:
            for number, card in enumerate(cards):
                self.join(card, roots[number * cpus // len(cards)], medium, rate, PCIE_S)
            return roots
        groups = [cards[i : i + per_switch] for i in range(0, len(cards), per_switch)]
        switches = self.add("pcie", len(groups))
        for number, (switch, group) in enumerate(zip(switches, groups, strict=True)):
            for card in group:
                self.join(card, switch, medium, rate, PCIE_S)
            self.join(switch, roots[number * cpus // len(groups)], medium, rate, PCIE_S)
        return switches

    def nics(self, at: list[str], count: int, rate: Fact, inner: Fact | None = None) -> None:
        """`count` NICs spread over the vertices `at`, each with a port to the fabric.

        `inner` is the rate from the vertex to the NIC where it is below the NIC's.
        """
        if count == 0:
            return
        fabric = self.add("fabric", 1)[0]
        for number, nic in enumerate(self.add("nic", count)):
            behind = at[number * len(at) // count]
            self.join(behind, nic, "PCIe to NIC", inner if inner is not None else rate, PCIE_S)
            self.join(nic, fabric, "NIC", rate, NIC_S)

    def done(self, unknown: str = "", *, forwards: bool = False) -> Topology:
        """The topology; raises BadTopology where it is none."""
        return Topology(dict(self.vertices), tuple(self.wires), unknown, forwards)


def topology_of(node: Node) -> Topology:
    """The graph of a node: its own, or one switch that joins all cards at the pair's rate."""
    if node.topology is not None:
        return node.topology
    key = (int(node.num_cards), node.pair_bytes_per_s, node.nics, node.nic_bytes_per_s)
    return _switch_for(*key, node.card.link.name if node.card.link else "link")


@lru_cache(maxsize=64)
def _switch_for(
    count: int, rate: Fact, nics: Fact | None, nic_rate: Fact | None, medium: str
) -> Topology:
    wiring = Wiring()
    cards = wiring.add("card", count)
    if count > 1:
        wiring.switched(cards, medium, rate)
    if nics is not None and nic_rate is not None:
        wiring.nics(cards, int(nics), nic_rate)
    return wiring.done("the link map is not told: a switch that joins all cards is taken")
