"""The cluster that a row of a training table was measured on."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from suiren.hw.catalog import shapes
from suiren.hw.catalog.shapes import Box
from suiren.hw.cluster import Cluster
from suiren.hw.default_node import node_for
from suiren.hw.fact import Fact, derived, published
from suiren.hw.find_cluster import find_node
from suiren.hw.held import Held
from suiren.hw.spec import Card, Node
from suiren.hw.topology import Topology
from suiren.hw.wiring import Wiring, topology_of
from suiren.truth.rows import Row
from suiren.truth.steps_model import number
from suiren.units import GB

#: Cards of an NVLink domain over racks of trays that jobs of whole groups of 64 take.
_RACK = 64
_FEWER = "the usual box has so many NICs a card"


def cluster_of(row: Row, card: Card) -> Cluster:
    """As many nodes as the row's devices fill, of the kind that holds this card.

    Rows that state the same links are one cluster.
    """
    wires, nodes = row.shape.get("interconnect", ""), row.shape.get("nodes", "")
    file = re.sub(r":L\d+.*", "", row.source)
    ranks = number(row, "n_devices", 1)
    boxes = int(nodes) if nodes.isdigit() else 0
    each = ranks // boxes if boxes > 1 and ranks % boxes == 0 else 0
    return _cluster(Held(card), ranks, wires, "NVL72" in nodes, file, each)


@lru_cache(maxsize=None)
def _cluster(
    held: Held, ranks: int, wires: str, in_rack: bool, source: str, each: int
) -> Cluster:
    card = held.card
    node = _of_so_many(node_for(card), each)
    if "NVLink5 node of 8" in wires and node.num_cards.kind == "assumed":
        node = replace(find_node("hgx-b200"), name=f"{card.name}x8", card=card)
    node = _with_nics(node, wires, source)
    if "NVL72" in wires or in_rack:
        node = _rack(node, min(ranks, _RACK))
    cards = int(node.num_cards)
    return Cluster(
        name=f"{node.name}-{card.name}-{ranks}", title=f"{ranks} x {card.title}", node=node,
        num_nodes=-(-ranks // cards),
    )  # fmt: skip


def _of_so_many(node: Node, cards: int) -> Node:
    """A smaller box of these cards where a row's nodes hold fewer than the usual one.

    Behind switches any number reaches each other at the full rate; else their links are a mesh.
    """
    usual = int(node.num_cards)
    if not 1 < cards < usual or "rack" in node.name or node.card.link is None:
        return node
    link = node.card.link
    is_switched = float(node.pair_bytes_per_s) >= float(link.bytes_per_s) / 2
    nics = max(1, int(node.nics or 0) * cards // usual)
    box = Box(links=shapes.switched if is_switched else shapes.mesh)
    ports = float(link.ports) / (1 if is_switched else cards - 1)
    return replace(
        node, name=f"{node.name}-of-{cards}", num_cards=published(cards, "devices over nodes"),
        pair_bytes_per_s=shapes.rate_of(node.card, ports), nics=derived(nics, _FEWER),
        topology=box.topology(node.card, cards, nics, node.nic_bytes_per_s),
    )  # fmt: skip


def _with_nics(node: Node, wires: str, source: str) -> Node:
    """The node with the NICs that the row states: `4x HDR IB`, `100 Gb/s ... per node`."""
    many = re.search(r"(\d+) ?[x×] ?(?:(?!Gb)[A-Za-z][\w-]* ){0,3}=? ?(\d+) ?Gb", wires)
    whole = re.search(r"(\d+) Gb/s (?:\w+ )?per node", wires)
    each = re.search(r"(\d+) Gb/s \w+ per NPU", wires)
    if whole and many and "=" in many[0]:  # `4x HDR IB = 800 Gb/s per node`
        count, rate = int(many[1]), int(whole[1]) / int(many[1])
    elif many:
        count, rate = int(many[1]), float(many[2])
    elif whole:
        count, rate = 1, float(whole[1])
    elif each:
        count, rate = int(node.num_cards), float(each[1])
    else:
        return node
    speed = published(rate / 8 * GB, source)
    return replace(
        node, name=f"{node.name}-{count}x{rate:g}", nics=published(count, source),
        nic_bytes_per_s=speed, topology=_rewired(node, count, speed),
    )  # fmt: skip


def _rewired(node: Node, count: int, rate: Fact) -> Topology:
    """The node's graph with other NICs, where the old ones hung or under the PCIe switches."""
    old = topology_of(node)
    gone = {name for name, kind in old.vertices.items() if kind in ("nic", "fabric")}
    wiring = Wiring()
    wiring.vertices.update((n, k) for n, k in old.vertices.items() if n not in gone)
    wiring.wires += [w for w in old.wires if w.start not in gone and w.end not in gone]
    behind = [w.start for w in old.wires if old.vertices[w.end] == "nic" and w.start not in gone]
    roots = [n for n, kind in old.vertices.items() if kind in ("pcie", "cpu")] or list(old.cards)
    wiring.nics(list(dict.fromkeys(behind)) or roots, count, rate)
    return wiring.done(old.assumed, forwards=old.forwards)


def _rack(node: Node, cards: int) -> Node:
    """A switched domain over many trays, a NIC for each card."""
    why = "NVIDIA GB200 NVL72 datasheet, 2024: a NIC of 400 Gbit/s for each of 72 cards"
    return replace(node, name=f"{node.name}-of-{cards}", num_cards=published(cards, why),
                   topology=None, nics=published(cards, why),
                   nic_bytes_per_s=published(50 * GB, why))  # fmt: skip
