"""The catalogue: every card and every node Suiren knows, by short lowercase name."""

from __future__ import annotations

from itertools import chain

from suiren.hw.catalog import (
    amazon,
    amd,
    amd_vector,
    china,
    dtu,
    dtu_later,
    gaudi,
    google,
    huawei,
    intel,
    node,
    node_more,
    nvidia_ada,
    nvidia_ampere,
    nvidia_blackwell,
    nvidia_geforce,
    nvidia_hopper,
    nvidia_pascal,
    nvidia_turing,
    nvidia_volta,
    nvidia_workstation,
    toy,
)
from suiren.hw.spec import Card, Node

_ROOMS = (
    dtu,
    dtu_later,
    nvidia_pascal,
    nvidia_volta,
    nvidia_ampere,
    nvidia_ada,
    nvidia_hopper,
    nvidia_blackwell,
    nvidia_workstation,
    nvidia_turing,
    nvidia_geforce,
    amd_vector,
    amd,
    google,
    gaudi,
    intel,
    huawei,
    amazon,
    china,
    toy,
)

#: Every card by name, in the order of the catalogue: where a model has several
#: bins, the first is the one that the bare model name means.
CARDS: dict[str, Card] = {
    card.name: card for card in chain.from_iterable(room.CARDS for room in _ROOMS)
}

#: Every node by name.
NODES: dict[str, Node] = {box.name: box for box in (*node.NODES, *node_more.NODES)}

__all__ = ["CARDS", "NODES"]
