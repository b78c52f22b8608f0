"""Rings come out of the graph."""

from __future__ import annotations

import pytest

from suiren.fleet.rings import rings_of
from suiren.hw.catalog import NODES
from suiren.hw.wiring import topology_of

LINKED = [n for n in NODES.values() if topology_of(n).direct() and n.num_cards <= 8]


@pytest.mark.parametrize(("name", "cards", "count"), [
    ("t20x8", 8, 4), ("t20x8", 4, 2), ("dgx-1", 8, 6), ("mi300x-x8", 8, 7),
    ("gaudi2-x8", 8, 7), ("dgx-a100", 8, 1), ("l40s-x8", 8, 1), ("a100-pairs-x4", 4, 1),
    ("t20x8", 2, 1), ("tpu-v4-host", 4, 2),
])  # fmt: skip
def test_how_many(name: str, cards: int, count: int) -> None:
    assert len(rings_of(topology_of(NODES[name]), tuple(range(cards)))) == count


@pytest.mark.parametrize("node", LINKED, ids=[n.name for n in LINKED])
def test_rings_visit_all_and_overfill_no_link(node) -> None:
    topology = topology_of(node)
    cards = tuple(range(int(node.num_cards)))
    rings = rings_of(topology, cards)
    direct = topology.direct()
    used: dict[tuple[int, int], float] = {}
    for ring in rings:
        assert sorted(ring.order) == list(cards)
        for arc in ring.arcs():
            used[arc] = used.get(arc, 0.0) + ring.share
    assert sum(ring.share for ring in rings) == pytest.approx(1)
    if len(rings) > 1:
        rates = {arc: direct[topology.cards[arc[0]], topology.cards[arc[1]]] for arc in used}
        slowest = min(rates[arc] / share for arc, share in used.items())
        # all rings at once: as fast as the units of the narrowest link allow
        unit = min(direct.values())
        assert slowest >= unit * len(rings) * (1 - 1e-9)


def test_a_ring_keeps_to_neighbours_where_it_can() -> None:
    topology = topology_of(NODES["t20x8"])
    rings = rings_of(topology, (0, 1, 4, 5))
    direct = topology.direct()
    assert len(rings) == 2  # one each way round
    for ring in rings:
        assert all((topology.cards[a], topology.cards[b]) in direct for a, b in ring.arcs())


def test_one_card_has_no_ring() -> None:
    assert rings_of(topology_of(NODES["t20x8"]), (3,)) == ()
