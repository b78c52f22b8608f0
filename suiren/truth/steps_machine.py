"""The cluster that a row of a training table was measured on."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.hw.fact import assumed
from suiren.hw.spec import Card, Node
from suiren.truth.rows import Row
from suiren.truth.steps_model import number


def cluster_of(row: Row, card: Card) -> Cluster:
    """As many nodes as the row's devices fill, of the kind that holds this card."""
    ranks = number(row, "n_devices", 1)
    node = _node(card)
    each = int(node.num_cards)
    return Cluster(
        name=f"{node.name}-{card.name}-{ranks}", title=f"{ranks} x {card.title}", node=node,
        num_nodes=-(-ranks // each),
    )  # fmt: skip


def _node(card: Card) -> Node:
    """The catalogue's node with this card, else with one of the same chip, else eight on PCIe."""
    for same in (
        lambda n: n.card.name == card.name,
        lambda n: n.card.chip.name == card.chip.name and n.card.form == card.form,
        lambda n: n.card.chip.family == card.chip.family and n.card.link is not None,
    ):
        found = next((n for n in NODES if same(n)), None)
        if found is not None:
            return replace(found, card=card)
    rate = assumed(0.8 * float(card.host_bytes_per_s), "no node of the catalogue holds this card")
    return replace(NODES[0], name=f"{card.name}-x8", card=card, num_cards=assumed(8, "a usual box"),
                   pair_bytes_per_s=rate, wiring="PCIe")  # fmt: skip
