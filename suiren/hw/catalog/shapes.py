"""Shapes of boxes: the links of the cards, the PCIe tree behind them, the NICs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suiren.hw.fact import Fact, assumed, derived, published
from suiren.hw.spec import Card
from suiren.hw.topology import Topology
from suiren.hw.wiring import LINK_S, Wiring
from suiren.units import GB

_NCCL_TOPO = "NVIDIA NCCL, src/graph/topo.h"
#: PCIe generation by the payload of its x16 slot, the CPU link that came with it, GB/s one way.
_PCIE = (
    (20 * GB, "PCIe 3.0 x16", published(10 * GB, f"{_NCCL_TOPO}: SKL_QPI_BW")),
    (40 * GB, "PCIe 4.0 x16", published(16 * GB, f"{_NCCL_TOPO}: AMD_ZEN12_BW")),
    (80 * GB, "PCIe 5.0 x16", published(22 * GB, f"{_NCCL_TOPO}: SRP_QPI_BW")),
    (200 * GB, "PCIe 6.0 x16", published(40 * GB, f"{_NCCL_TOPO}: ERP_QPI_BW")),
)

Links = Callable[[Wiring, list[str], Card], None]


@dataclass(frozen=True, kw_only=True)
class Box:
    """How the cards of a box are joined, and what lies behind them."""

    links: Links | None = None
    cpus: int = 2
    per_switch: int = 4
    """Cards under one PCIe switch; 0 puts them under the CPU."""
    nics_on_cards: bool = False
    """True where the card's own ports are the NICs."""
    unknown: str = ""
    forwards: bool = False
    host: str = ""
    """What the name of the host's medium ends with, where its transport was measured apart."""

    def topology(
        self, card: Card, count: int, nics: float, nic_rate: Fact | None,
        cpu_link: Fact | None = None,
    ) -> Topology:  # fmt: skip
        """The graph of `count` such cards and `nics` NICs of `nic_rate` bytes per second.

        `cpu_link` is the rate between CPUs where it is known; else that of the card's time.
        """
        wiring = Wiring()
        cards = wiring.add("card", count)
        if self.links is not None and count > 1:
            self.links(wiring, cards, card)
        medium, socket = host_medium(card)
        socket = socket if cpu_link is None else cpu_link
        switches = wiring.host(
            cards, medium + self.host, card.host_bytes_per_s, cpus=min(self.cpus, count),
            socket=socket, per_switch=self.per_switch,
        )
        if nic_rate is not None and nics:
            at = cards if self.nics_on_cards else switches
            wiring.nics(at, int(nics), nic_rate)
        return wiring.done(self.unknown, forwards=self.forwards)


def host_medium(card: Card) -> tuple[str, Fact]:
    """Name of the card's host link, and the link between CPUs of that time."""
    name, socket = next(
        ((name, socket) for most, name, socket in _PCIE if card.host_bytes_per_s < most),
        _PCIE[-1][1:],
    )
    # a card on few lanes sits beside the CPUs of its year
    return name, max(socket, _PCIE[-1][2] if card.year >= 2024 else socket, key=float)


def rate_of(card: Card, ports: float) -> Fact:
    """One direction of `ports` ports of a card."""
    assert card.link is not None
    rate, all_ports = card.link.bytes_per_s, card.link.ports
    how = f"{card.link.name}: both directions / 2 × {ports:g} of {all_ports:g} ports"
    return derived(rate / 2 * ports / all_ports, f"{how}; {rate.source}")


def medium_of(card: Card) -> str:
    """The name of a card's link."""
    assert card.link is not None
    return card.link.name


def switched(wiring: Wiring, cards: list[str], card: Card) -> None:
    """Every card with all its ports on the switches."""
    assert card.link is not None
    wiring.switched(cards, medium_of(card), rate_of(card, card.link.ports))


def mesh(wiring: Wiring, cards: list[str], card: Card) -> None:
    """A link from every card to every other, the ports divided evenly."""
    assert card.link is not None
    rate = rate_of(card, card.link.ports / (len(cards) - 1))
    wiring.mesh(cards, medium_of(card), rate)


def mesh_of(gb_per_s: Fact, medium: str) -> Links:
    """A mesh whose links carry a published rate, one direction."""
    return lambda wiring, cards, card: wiring.mesh(cards, medium, gb_per_s)


def quads(bridge: str, cable: str) -> Links:
    """Groups of four, each a mesh over a bridge with one port a link; one cable a card across."""

    def links(wiring: Wiring, cards: list[str], card: Card) -> None:
        port = rate_of(card, 1)
        for first in range(0, len(cards), 4):
            wiring.mesh(cards[first : first + 4], bridge, port)
        why = "cables a card unpublished, one to three; one taken, the least that joins the quads"
        across = assumed(float(port), f"{port.source}; {why}")
        for a, b in zip(cards[:4], cards[4:8], strict=False):
            wiring.join(a, b, cable, across, LINK_S)

    return links


def pairs(wiring: Wiring, cards: list[str], card: Card) -> None:
    """A bridge over every two cards, with all their ports."""
    assert card.link is not None
    for a, b in zip(cards[::2], cards[1::2], strict=False):
        wiring.join(a, b, f"{medium_of(card)} bridge", rate_of(card, card.link.ports), LINK_S)


def cube_mesh(wiring: Wiring, cards: list[str], card: Card) -> None:
    """DGX-1: NVLinks between eight cards of six ports each."""
    double = ((0, 3), (0, 4), (1, 2), (1, 5), (2, 3), (4, 7), (5, 6), (6, 7))
    single = ((0, 1), (0, 2), (1, 3), (2, 6), (3, 7), (4, 5), (4, 6), (5, 7))
    for ports, joined in ((2, double), (1, single)):
        for a, b in joined:
            wiring.join(cards[a], cards[b], medium_of(card), rate_of(card, ports), LINK_S)


def torus(*sides: int) -> Links:
    """A torus of these sides, fastest first, one port to each neighbour."""
    return lambda wiring, cards, card: wiring.torus(
        cards, sides, medium_of(card), rate_of(card, 1)
    )

