"""Cluster: nodes of one kind and the fabric between them."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact
from suiren.hw.spec import Card, Node


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Nodes of one kind, numbered from 0, joined by a fabric through their NICs."""

    name: str
    title: str
    node: Node
    num_nodes: int
    fabric: str = "fat-tree"
    """`fat-tree`, `rail-optimised`, `dragonfly`, `torus`; of no meaning for one node."""
    oversubscription: Fact | None = None
    """Bandwidth into a leaf switch over the bandwidth out of it; None for 1."""
    nodes_per_leaf: Fact | None = None
    """Nodes that reach each other without the upper switches; None for all of them."""
    torus: tuple[int, ...] = ()
    """Cards along each side of a torus that joins all cards, fastest first."""
    note: str = ""
    """What nobody published about it, in one sentence."""

    @property
    def card(self) -> Card:
        """The card that every node holds."""
        return self.node.card

    @property
    def cards_per_node(self) -> int:
        """Cards in one node."""
        return int(self.node.num_cards)

    @property
    def num_ranks(self) -> int:
        """Cards of the whole cluster; rank r is card r % cards_per_node of node r // it."""
        return self.num_nodes * self.cards_per_node
