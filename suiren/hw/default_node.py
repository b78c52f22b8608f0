"""The box a card is taken to sit in where nobody said: the usual one of its form."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog import NODES, shapes
from suiren.hw.catalog.node import BOXES
from suiren.hw.catalog.shapes import Box
from suiren.hw.fact import assumed, derived
from suiren.hw.spec import Card, Node
from suiren.units import GB

_CARDS = assumed(8, "no box of this card is in the catalogue: eight, the usual server, taken")
_NICS = assumed(2, "NICs of a box unpublished: two taken")
_NIC = assumed(12.5 * GB, "NICs of a box unpublished: 100 Gbit/s taken")
#: Modules that train since 2022 sit in boxes with a NIC each: HGX H100, MI300X platform.
_SINCE = 2022
_ONE_EACH = assumed(8, "NICs of a box unpublished: one a module, as in HGX H100 and MI300X boxes")
_WIDE_NIC = assumed(50 * GB, "NICs of a box unpublished: 400 Gbit/s, as in HGX H100's")
_UNKNOWN = "no box of this card is in the catalogue: a usual one is taken"


def node_for(card: Card) -> Node:
    """The node of the catalogue with this card, or with this chip, or the usual box of its form.

    Cards of one chip sit in the same boxes; a card with its own link rate keeps that rate.
    """
    own = [node for node in NODES.values() if node.card.name == card.name]
    if own:
        # trays of a rack are no node of their own: all cards of the rack share the switches
        return max(own, key=lambda node: float(node.num_cards) if "rack" in node.name else 0.0)
    for node in NODES.values():
        same = node.card.chip.name == card.chip.name and node.card.form == card.form
        if same and card.link is not None:
            return _swapped(node, card)
    return _usual(card)


def _swapped(node: Node, card: Card) -> Node:
    """The box of a sister card: the same wiring, this card's links."""
    box = replace(BOXES[node.name], unknown=f"the box of {node.card.name} is taken")
    nics = float(node.nics or 0)
    return replace(
        node, name=f"{card.name}x{int(node.num_cards)}", title=f"{card.title}, box of {node.title}",
        card=card, aliases=(), pair_bytes_per_s=shapes.rate_of(card, _pair_ports(node, card)),
        topology=box.topology(card, int(node.num_cards), nics, node.nic_bytes_per_s),
    )  # fmt: skip


def _pair_ports(node: Node, card: Card) -> float:
    """Ports of the card that lead to one neighbour."""
    assert node.card.link is not None and card.link is not None
    share = node.pair_bytes_per_s / (node.card.link.bytes_per_s / 2)
    return float(card.link.ports) * min(1.0, share)


def _usual_links(card: Card) -> shapes.Links:
    """Seven ports make a mesh of eight, three or more two quads, one or two bridged pairs."""
    assert card.link is not None
    ports = card.link.ports
    if card.form in ("SXM", "OAM", "module") and card.chip.vendor == "NVIDIA":
        return shapes.switched
    if card.chip.vendor == "NVIDIA":
        return shapes.pairs
    if ports >= 7:
        return shapes.mesh
    if ports >= 4:
        return shapes.quads(card.link.name, f"{card.link.name}, across")
    return shapes.pairs


def _usual(card: Card) -> Node:
    """Eight cards, linked as their ports suggest, behind PCIe; two NICs."""
    linked = card.link is not None and card.link.ports > 0
    links = _usual_links(card) if linked else None
    box = Box(links=links, unknown=_UNKNOWN)
    host = card.host_bytes_per_s
    new = card.form in ("SXM", "OAM", "module") and card.year >= _SINCE
    nics, nic = (_ONE_EACH, _WIDE_NIC) if new else (_NICS, _NIC)
    pair = derived(float(host), f"PCIe, one direction; {host.source}")
    if links in (shapes.switched, shapes.pairs) and card.link is not None:
        pair = shapes.rate_of(card, card.link.ports)
    elif linked and card.link is not None:
        pair = shapes.rate_of(card, max(1.0, card.link.ports / 7))
    return Node(
        name=f"{card.name}x8", title=f"8 × {card.title}", card=card, num_cards=_CARDS,
        wiring=f"{_UNKNOWN}; cards behind PCIe switches under two CPUs",
        pair_bytes_per_s=pair, nics=nics, nic_bytes_per_s=nic,
        topology=box.topology(card, 8, nics, nic),
    )  # fmt: skip
