"""Which algorithm and message protocol a communication library would take."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log2

from suiren.fleet.algorithms import OF_MPI, OPS, switch
from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow, fair_rates
from suiren.fleet.rings import rings_of
from suiren.hw.catalog import nccl
from suiren.hw.catalog.transports import transport_of
from suiren.hw.cluster import Cluster
from suiren.hw.route import route
from suiren.hw.topology import Topology

#: Vendor to its library. NCCL chooses by its own prediction; of the others it is assumed that
#: they take what is fastest.
LIBRARIES = {
    "NVIDIA": "NCCL", "AMD": "RCCL", "Intel": "oneCCL", "Huawei": "HCCL", "Enflame": "ECCL",
    "Google": "XLA", "Amazon": "Neuron",
}  # fmt: skip
#: Message protocols of the libraries that are no NCCL: small messages, large ones.
OTHER_PROTOCOLS = ("ll", "simple")

Choice = tuple[str, str]


def library_of(cluster: Cluster) -> str:
    """The communication library of a cluster's cards."""
    chip = cluster.card.chip
    if chip.family == "gaudi":
        return "HCCL"
    return LIBRARIES.get(chip.vendor, "its own library")


def candidates(fold: Fold, op: str, library: str) -> tuple[Choice, ...]:
    """What the library can do for an op on this group."""
    if op == "send":
        return (("direct", "message"),)
    if op in ("all_to_all", "gather", "scatter"):
        return (("direct", "pairs"),)
    algorithms = [a for a in OPS if op in OPS[a] and a not in OF_MPI]
    if fold.place.nodes == 1 or len(fold.place.local) == 1:
        algorithms = [a for a in algorithms if a != "hierarchical"]
    if library == "NCCL":
        able = ("ring",) if op in ("broadcast", "reduce") else ("ring", "tree", "switch")
        algorithms = [a for a in algorithms if a in able]
        protocols: tuple[str, ...] = ("ll", "ll128", "simple")
    else:
        protocols = OTHER_PROTOCOLS
    found = [(a, p) for a in algorithms if a != "switch" for p in protocols]
    if library == "NCCL" and "switch" in algorithms and switch.can(fold) and _adds_up(fold):
        found.append(("switch", "in_switch"))
    return tuple(found)


def _adds_up(fold: Fold) -> bool:
    """True where the switches of the cards' links make sums: from NVLink 4 on."""
    cards = fold.place.local
    ways = fold.inside(cards[0], cards[1])
    return all(transport_of(fold.media[n], "NCCL").in_switch is not None for n, _ in ways)


def by_nccl(fold: Fold, op: str, size_bytes: float, family: str) -> Choice:
    """The pair that NCCL's own prediction makes fastest."""
    told = dict(_predictions(fold, op, size_bytes, family))
    return min(told, key=lambda pair: told[pair])


def _predictions(
    fold: Fold, op: str, size_bytes: float, family: str
) -> Iterator[tuple[Choice, float]]:
    """Seconds that NCCL expects of each pair."""
    place = fold.place
    n, nodes, inner = place.size, place.nodes, len(place.local)
    generation = nccl.GENERATIONS.get(family, nccl.GENERATIONS["ampere"])
    linked = _linked(fold.topology, place.local)
    bus = _bus_bytes_per_s(fold, generation.link_share if linked else 1.0)
    ll_most = generation.ll_bytes_per_s[min(nodes, 3) - 1]
    turns = 2 if op in ("all_reduce", "barrier") else 1
    steps, crossings = turns * (n - 1), turns * (nodes if turns == 2 else nodes - 1)
    crossings = crossings if nodes > 1 else 0
    where = "link" if linked else "pcie"
    fine = ("ll128",) if linked and generation.ll128 else ()
    for protocol in ("ll", *fine, "simple"):
        rate = {"ll": min(ll_most, bus * nccl.LL_SHARE), "ll128": bus * nccl.LL128_SHARE}
        latency_s = nccl.BASE_S["ring", protocol] + crossings * nccl.HOP_S["net", "ring", protocol]
        latency_s += (steps - crossings) * nccl.HOP_S[where, "ring", protocol]
        if protocol == "simple" and nodes > 1 and turns == 2:
            latency_s *= nccl.PLATEAU
        yield ("ring", protocol), latency_s + size_bytes * steps / n / rate.get(protocol, bus)
    if op not in OPS["tree"]:
        return
    power = int(log2(max(1, size_bytes / 64)))
    for protocol in ("ll", *fine, "simple"):
        rates = bus * nccl.TREE_RATE
        rate = {"ll": min(ll_most, rates * nccl.TREE_LL),
                "ll128": rates * (nccl.TREE_LL128 if nodes == 1 else 0.94)}  # fmt: skip
        shares = nccl.TREE_SHARE[protocol]
        share = shares[power] if power < len(shares) else 1.0
        hops = turns * (inner - 1) * nccl.HOP_S[where, "tree", protocol]
        hops += turns * ceil(log2(nodes)) * nccl.HOP_S["net", "tree", protocol] if nodes > 1 else 0
        seconds = nccl.BASE_S["tree", protocol] + hops
        yield ("tree", protocol), seconds + turns * size_bytes / (share * rate.get(protocol, rates))
    if op == "all_reduce" and generation.in_switch_share and inner >= nccl.IN_SWITCH_FROM:
        yield from _in_switch(fold, size_bytes, bus, generation.in_switch_share)


def _in_switch(
    fold: Fold, size_bytes: float, bus: float, share: float
) -> Iterator[tuple[Choice, float]]:
    """What NCCL expects of sums in the switch, where there is one."""
    if not switch.can(fold):
        return
    nodes, inner = fold.place.nodes, len(fold.place.local)
    move_s = size_bytes * (1 + 1 / inner) / (bus_inside(fold) * share)
    latency_s = float(nccl.HOP_S["link", "switch", "simple"])
    if nodes > 1:
        latency_s += 2 * ceil(log2(nodes)) * nccl.HOP_S["net", "switch", "simple"]
        move_s = max(move_s, 2 * size_bytes / bus)
    yield ("switch", "in_switch"), latency_s + move_s


def _linked(topology: Topology, local: tuple[int, ...]) -> bool:
    """True where the ring runs over links of the cards only."""
    cards = topology.cards
    for ring in rings_of(topology, local):
        for a, b in ring.arcs():
            ways = route(topology, cards[a], cards[b])
            if any(topology.host_wire(topology.wires[n]) for n, _ in ways):
                return False
    return True


def bus_inside(fold: Fold) -> float:
    """Bytes per second that a card puts into the rings of its node."""
    flows = [
        Flow(fold.inside(a, b), ring.share)
        for ring in rings_of(fold.topology, fold.place.local)
        for a, b in ring.arcs()
    ]
    if not flows:
        return float("inf")
    rates = fair_rates(flows, fold.capacity_bytes_per_s)
    return min(rate / flow.size_bytes for rate, flow in zip(rates, flows, strict=True))


def _bus_bytes_per_s(fold: Fold, link_share: float) -> float:
    """Bytes per second of the group's rings, the NICs of the nodes included."""
    inside = bus_inside(fold) * link_share
    if fold.place.nodes == 1:
        return inside
    local = fold.place.local
    flows = [Flow(fold.between(c, c), 1 / len(local)) for g in fold.groups() for c in g]
    rates = fair_rates(flows, fold.capacity_bytes_per_s)
    return min(inside, sum(rates) / len(fold.groups()))
