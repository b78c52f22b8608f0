"""What a topology amounts to: links, groups, routes between cards, rings, one collective's time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import groupby

from suiren.fleet.collective import time_collective
from suiren.fleet.place import Place
from suiren.fleet.rings import rings_of
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact
from suiren.hw.route import bisection_bytes_per_s, latency_s, route
from suiren.hw.topology import Topology
from suiren.hw.wiring import topology_of

#: The collective whose time is told.
TOLD_BYTES = 2**28
#: Beyond this many cards no table of pairs is drawn.
MOST_PAIRS = 16


@dataclass(frozen=True, slots=True)
class LinkRow:
    """Links of one medium between two kinds of vertices."""

    medium: str
    ends: str
    links: int
    bytes_per_s: float
    latency_s: float
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class Pair:
    """The way from one card to another."""

    start: int
    end: int
    bytes_per_s: float
    latency_s: float
    over: str
    """Media on the way; `direct` over a link of their own, `switch` over one switch."""


@dataclass(frozen=True, slots=True)
class TopologyReport:
    """A cluster's wiring in numbers. Rates are one way."""

    name: str
    title: str
    card: str
    wiring: str
    num_nodes: int
    cards_per_node: int
    num_cards: int
    fabric: str
    nics: int
    nic_bytes_per_s: float
    bisection_bytes_per_s: float
    cluster_bisection_bytes_per_s: float
    torus: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    links: tuple[LinkRow, ...]
    pairs: tuple[Pair, ...]
    rings: tuple[tuple[int, ...], ...]
    all_reduce_bytes: int
    all_reduce_s: float
    all_reduce_how: str
    assumed: tuple[str, ...]


def describe(cluster: Cluster) -> TopologyReport:
    """Everything that `suiren topology` tells of a cluster."""
    node, topology = cluster.node, topology_of(cluster.node)
    cards = tuple(range(len(topology.cards)))
    told = _told(cluster, cards)
    return TopologyReport(
        name=cluster.name, title=cluster.title, card=node.card.title, wiring=node.wiring,
        num_nodes=cluster.num_nodes, cards_per_node=len(cards), num_cards=cluster.num_ranks,
        fabric=cluster.fabric if cluster.num_nodes > 1 else "", nics=int(node.nics or 0),
        nic_bytes_per_s=float(node.nic_bytes_per_s or 0), torus=cluster.torus,
        bisection_bytes_per_s=bisection_bytes_per_s(topology),
        cluster_bisection_bytes_per_s=cluster_bisection_bytes_per_s(cluster),
        groups=groups_of(topology), links=tuple(_links(topology)),
        pairs=tuple(_pairs(topology)) if len(cards) <= MOST_PAIRS else (),
        rings=tuple(ring.order for ring in rings_of(topology, cards)),
        all_reduce_bytes=TOLD_BYTES, all_reduce_s=told[0], all_reduce_how=told[1],
        assumed=assumptions(cluster),
    )  # fmt: skip


def document(report: TopologyReport) -> dict[str, object]:
    """The report as JSON, units in the keys."""
    return asdict(report)


def cluster_bisection_bytes_per_s(cluster: Cluster) -> float:
    """Bytes per second, one way, between two halves of the nodes; 0 for one node."""
    if cluster.torus:
        longest = max(cluster.torus)
        across = cluster.num_ranks / longest
        return float(across * cluster.node.pair_bytes_per_s * (2 if longest > 2 else 1))
    if cluster.num_nodes < 2:
        return 0.0
    node = float(cluster.node.nics or 0) * float(cluster.node.nic_bytes_per_s or 0)
    narrow = float(cluster.oversubscription or 1.0)
    inside_leaf = cluster.nodes_per_leaf is None or cluster.num_nodes <= cluster.nodes_per_leaf
    return cluster.num_nodes / 2 * node / (1.0 if inside_leaf else narrow)


def groups_of(topology: Topology) -> tuple[tuple[int, ...], ...]:
    """Cards that are all neighbours over the widest kind of link; a switch makes one group."""
    cards = topology.cards
    if topology.of_kind("switch") or not topology.direct():
        return (tuple(range(len(cards))),)
    first = next(w.medium for w in topology.wires if not topology.host_wire(w))
    joined = topology.direct(frozenset({first}))
    left, found = list(cards), []
    while left:
        group = [left[0]]
        for card in left[1:]:
            if all((card, other) in joined for other in group):
                group.append(card)
        found.append(tuple(cards.index(c) for c in group))
        left = [c for c in left if c not in group]
    return tuple(found)


def assumptions(cluster: Cluster) -> tuple[str, ...]:
    """Sentences about what nobody published."""
    topology = topology_of(cluster.node)
    found = [topology.assumed, cluster.note]
    facts: list[Fact] = [f for name, f in topology.facts().items() if name.endswith("per_s")]
    facts += [f for f in (cluster.node.nics, cluster.nodes_per_leaf, cluster.oversubscription)
              if f is not None]  # fmt: skip
    found += [fact.source for fact in facts if fact.kind == "assumed"]
    return tuple(dict.fromkeys(text for text in found if text))


def _told(cluster: Cluster, cards: tuple[int, ...]) -> tuple[float, str]:
    if cluster.num_ranks < 2:
        return 0.0, ""
    place = Place(cluster.num_nodes, cards)
    try:
        took = time_collective(cluster, "all_reduce", TOLD_BYTES, place)
    except ValueError as reason:
        return 0.0, str(reason)
    return took.seconds, f"{took.algorithm}, {took.protocol}; bound by {took.bound}"


def _links(topology: Topology) -> list[LinkRow]:
    """One row for each medium and pair of kinds, links counted once."""
    wires = [w for w in topology.wires if (w.start, w.end) <= (w.end, w.start)]
    kinds = topology.vertices

    def key(wire):  # type: ignore[no-untyped-def]
        ends = " – ".join(sorted((kinds[wire.start], kinds[wire.end])))
        return wire.medium, ends, float(wire.bytes_per_s), float(wire.latency_s)

    rows = []
    for (medium, ends, rate, latency), same in groupby(sorted(wires, key=key), key=key):
        alike = list(same)
        fact = alike[0].bytes_per_s
        rows.append(LinkRow(medium, ends, len(alike), rate, latency, fact.kind, fact.source))
    order = {medium: i for i, medium in enumerate(topology.media())}
    return sorted(rows, key=lambda row: order[row.medium])


def _pairs(topology: Topology) -> list[Pair]:
    cards = topology.cards
    found = []
    for i, start in enumerate(cards):
        for j, end in enumerate(cards):
            if i == j:
                continue
            ways = route(topology, start, end)
            rate = min(topology.wires[n].bytes_per_s / share for n, share in ways)
            media = tuple(dict.fromkeys(topology.wires[n].medium for n, _ in ways))
            kinds = {topology.vertices[topology.wires[n].end] for n, _ in ways}
            over = "direct" if len(ways) == 1 else " + ".join(media)
            over = "switch" if kinds == {"switch", "card"} and len(ways) == 2 else over
            found.append(Pair(i, j, float(rate), latency_s(topology, ways), over))
    return found
