"""The graphs of nodes: complete, symmetric, and as wide as published."""

from __future__ import annotations

import pytest

from suiren.hw.catalog import CARDS, NODES
from suiren.hw.catalog.transports import transport_of
from suiren.hw.default_node import node_for
from suiren.hw.fact import assumed
from suiren.hw.route import bisection_bytes_per_s, latency_s, one_route, route
from suiren.hw.spec import Node
from suiren.hw.topology import FABRIC, BadTopology, Topology, Wire
from suiren.hw.wiring import Wiring, topology_of
from suiren.units import GB

EVERY_NODE = pytest.mark.parametrize("node", NODES.values(), ids=list(NODES))
RATE = assumed(10 * GB, "test")
LATENCY = assumed(1e-6, "test")


def pairs(node: Node) -> list[tuple[str, str]]:
    cards = topology_of(node).cards
    chosen = (*cards[:4], *cards[-4:])
    return [(a, b) for a in dict.fromkeys(chosen) for b in dict.fromkeys(chosen) if a != b]


@EVERY_NODE
def test_every_wire_has_its_twin(node: Node) -> None:
    wires = topology_of(node).wires
    there = sorted((w.start, w.end, w.medium, float(w.bytes_per_s)) for w in wires)
    back = sorted((w.end, w.start, w.medium, float(w.bytes_per_s)) for w in wires)
    assert there == back


@EVERY_NODE
def test_every_card_reaches_every_other_and_the_fabric(node: Node) -> None:
    topology = topology_of(node)
    assert len(topology.cards) == int(node.num_cards)
    for start, end in pairs(node):
        assert_is_a_way(topology, start, end)
    if node.nics is not None:
        assert len(topology.of_kind("nic")) == int(node.nics)
        for card in topology.cards[:8]:
            assert_is_a_way(topology, card, FABRIC)
            assert_is_a_way(topology, FABRIC, card)


def assert_is_a_way(topology: Topology, start: str, end: str) -> None:
    """What leaves a vertex has come into it; all of it starts and ends where it should."""
    balance: dict[str, float] = {}
    for ways in (route(topology, start, end), one_route(topology, start, end)):
        balance = {}
        for number, share in ways:
            wire = topology.wires[number]
            assert 0 < share <= 1 + 1e-12
            balance[wire.start] = balance.get(wire.start, 0.0) - share
            balance[wire.end] = balance.get(wire.end, 0.0) + share
        assert balance.pop(start) == pytest.approx(-1)
        assert balance.pop(end) == pytest.approx(1)
        assert all(abs(rest) < 1e-9 for rest in balance.values())
        assert latency_s(topology, ways) > 0


@EVERY_NODE
def test_a_card_has_no_more_links_than_its_sheet_says(node: Node) -> None:
    topology, link = topology_of(node), node.card.link
    for card in topology.cards:
        leaving = [w for w in topology.wires if w.start == card and not topology.host_wire(w)]
        total = sum(w.bytes_per_s for w in leaving)
        assert total <= (link.bytes_per_s / 2 * 1.001 if link else 0)


@pytest.mark.parametrize(("name", "gb_per_s"), [
    ("t20x8", 4 * 25), ("t21x8", 4 * 25), ("t10x8", 4 * 25), ("dgx-1", 6 * 25),
    ("dgx-a100", 4 * 300), ("hgx-h100", 4 * 450), ("hgx-b200", 4 * 900), ("mi300x-x8", 16 * 64),
    ("gaudi2-x8", 16 * 37.5), ("atlas-910b-x8", 16 * 28), ("gb200-rack", 36 * 900),
    ("a100-pairs-x4", 2 * 31.5), ("tpu-v4-host", 2 * 50), ("trn1", 8 * 48),
])  # fmt: skip
def test_bisection(name: str, gb_per_s: float) -> None:
    assert bisection_bytes_per_s(topology_of(NODES[name])) == pytest.approx(gb_per_s * GB, rel=1e-3)


def test_the_t20_is_two_quads_over_bridges_and_cables_across() -> None:
    topology = topology_of(NODES["t20x8"])
    bridges = topology.direct(frozenset({"ESL-B bridge"}))
    cables = topology.direct(frozenset({"ESL-Q cable"}))
    quads = [topology.cards[:4], topology.cards[4:]]
    assert set(bridges) == {(a, b) for quad in quads for a in quad for b in quad if a != b}
    assert set(bridges.values()) == {25 * GB}
    assert all((a in quads[0]) != (b in quads[0]) for a, b in cables)
    assert topology.assumed


def test_what_is_not_published_says_so() -> None:
    assert "OAM" in topology_of(NODES["t21x8"]).assumed
    assumed_facts = [f for f in topology_of(NODES["t20x8"]).facts().values() if f.kind == "assumed"]
    assert any("cables" in fact.source for fact in assumed_facts)


def test_the_dgx_1_has_six_links_a_card() -> None:
    direct = topology_of(NODES["dgx-1"]).direct()
    for card in topology_of(NODES["dgx-1"]).cards:
        assert sum(rate for (a, _), rate in direct.items() if a == card) == 150 * GB


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_every_card_has_a_box(card) -> None:
    node = node_for(card)
    topology = topology_of(node)
    assert node.card.name == card.name
    assert node.pair_bytes_per_s > 0
    assert len(topology.cards) == int(node.num_cards)


def test_a_card_passes_nothing_on_unless_told() -> None:
    def line(forwards: bool) -> Topology:
        wiring = Wiring()
        a, b, c = wiring.add("card", 3)
        wiring.join(a, b, "x", RATE, LATENCY)
        wiring.join(b, c, "x", RATE, LATENCY)
        return wiring.done(forwards=forwards)

    assert len(route(line(True), "card0", "card2")) == 2
    with pytest.raises(ValueError, match="no way from card0 to card2"):
        route(line(False), "card0", "card2")


def test_equal_ways_share() -> None:
    wiring = Wiring()
    a, b = wiring.add("card", 2)
    for switch in wiring.add("switch", 2):
        wiring.join(a, switch, "x", RATE, LATENCY)
        wiring.join(switch, b, "x", RATE, LATENCY)
    shares = route(wiring.done(), a, b)
    assert [share for _, share in shares] == [0.5] * 4


@pytest.mark.parametrize(("vertices", "ends", "said"), [
    ({"card0": "card"}, ("card0", "card1"), "card1, which is no vertex"),
    ({"card0": "card"}, ("card0", "card0"), "card0 to itself"),
    ({"cpu0": "cpu", "cpu1": "cpu"}, ("cpu0", "cpu1"), "no card"),
])  # fmt: skip
def test_no_topology(vertices, ends: tuple[str, str], said: str) -> None:
    wire = Wire(start=ends[0], end=ends[1], medium="x", bytes_per_s=RATE, latency_s=LATENCY)
    with pytest.raises(BadTopology, match=said):
        Topology(vertices, (wire,))


def test_a_lone_card_is_named() -> None:
    wiring = Wiring()
    cards = wiring.add("card", 3)
    wiring.join(cards[0], cards[1], "x", RATE, LATENCY)
    with pytest.raises(BadTopology, match="card0 cannot reach card2"):
        wiring.done()


def test_every_medium_has_a_transport_and_every_number_of_it_a_source() -> None:
    for node in NODES.values():
        for medium in topology_of(node).media():
            transport = transport_of(medium)
            for protocol in ("ll", "ll128", "simple", "pairs", "message"):
                told = transport.protocol(protocol)
                assert 0 < told.share <= 1 and told.base_s > 0 and told.hop_s >= 0 <= told.last
                assert {told.share.kind, told.base_s.kind} <= {"fitted", "assumed"}
    with pytest.raises(ValueError, match="no protocol"):
        transport_of("NVLink 3").protocol("in_switch")


def test_what_nobody_measured_says_from_where_it_is_carried() -> None:
    assert transport_of("NVLink 2").carried_from == "NVLink 3"
    assert transport_of("ESL-B bridge").carried_from
    assert not transport_of("NVLink 4").carried_from

