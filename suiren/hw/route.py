"""Ways through a topology: shortest routes, the bisection."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from heapq import heappop, heappush
from itertools import combinations, pairwise

from suiren.hw.topology import Topology

#: The message whose time decides which of two ways is shorter.
MESSAGE_BYTES = 2**20
#: What a wire of the host counts more than a link, so that links are always nearer.
_HOST_S = 1.0
#: Ways that differ by less are equally short and share the load.
_EQUAL = 1e-12


@lru_cache(maxsize=65536)
def route(topology: Topology, start: str, end: str) -> tuple[tuple[int, float], ...]:
    """The wires from `start` to `end` with the share of a message that each carries.

    Shortest is what crosses fewest wires of the host, then what takes a message of 1 MiB least
    long, wire by wire; equally short ways share evenly. A card passes nothing on unless the
    topology says so. Raises ValueError where there is no way.
    """
    cost, before = _distances(topology, start)
    if end not in cost:
        raise ValueError(f"there is no way from {start} to {end}")
    shares: dict[int, float] = {}
    carried = {end: 1.0}
    # from the far end back: every vertex is done after all that lie behind it
    for vertex in sorted(cost, key=lambda v: -cost[v]):
        share = carried.get(vertex, 0.0)
        if vertex == start or share == 0.0:
            continue
        for number in before[vertex]:
            part = share / len(before[vertex])
            shares[number] = shares.get(number, 0.0) + part
            origin = topology.wires[number].start
            carried[origin] = carried.get(origin, 0.0) + part
    return tuple(sorted(shares.items()))


@lru_cache(maxsize=8192)
def one_route(topology: Topology, start: str, end: str) -> tuple[tuple[int, float], ...]:
    """As `route`, but one of the shortest ways alone: the first by number of wire."""
    cost, before = _distances(topology, start)
    if end not in cost:
        raise ValueError(f"there is no way from {start} to {end}")
    found, vertex = [], end
    while vertex != start:
        number = min(before[vertex])
        found.append((number, 1.0))
        vertex = topology.wires[number].start
    return tuple(sorted(found))


def latency_s(topology: Topology, ways: tuple[tuple[int, float], ...]) -> float:
    """Seconds from the first byte's departure to its arrival, mean over the ways."""
    return sum(share * topology.wires[number].latency_s for number, share in ways)


@lru_cache(maxsize=8192)
def _distances(topology: Topology, start: str) -> tuple[dict[str, float], dict[str, list[int]]]:
    """What every vertex costs from `start`, and the last wires of the shortest ways."""
    leaving = topology.leaving()
    cost: dict[str, float] = {start: 0.0}
    before: dict[str, list[int]] = {start: []}
    todo, done = [(0.0, start)], set()
    while todo:
        so_far, vertex = heappop(todo)
        if vertex in done:
            continue
        done.add(vertex)
        if vertex != start and not _passes_on(topology, vertex):
            continue
        for number in leaving[vertex]:
            wire = topology.wires[number]
            total = so_far + wire.latency_s + MESSAGE_BYTES / wire.bytes_per_s
            # libraries take the host's wires only where links do not lead there
            total += _HOST_S if topology.host_wire(wire) else 0.0
            known = cost.get(wire.end)
            if known is None or total < known * (1 - _EQUAL):
                cost[wire.end], before[wire.end] = total, [number]
                heappush(todo, (total, wire.end))
            elif total <= known * (1 + _EQUAL):
                before[wire.end].append(number)
    return cost, before


def _passes_on(topology: Topology, vertex: str) -> bool:
    kind = topology.vertices[vertex]
    return kind not in ("card", "fabric") or (kind == "card" and topology.forwards)


@lru_cache(maxsize=256)
def bisection_bytes_per_s(topology: Topology) -> float:
    """Bytes per second, one way, between the two halves of the cards that are worst joined.

    Counts links only where links join all cards; the host's PCIe too where they do not. Up to
    ten cards every split is tried, beyond that the runs of neighbouring numbers. 0 for one card.
    """
    cards = topology.cards
    half = len(cards) // 2
    if half == 0:
        return 0.0
    if len(cards) <= 10:
        splits = [set(part) for part in combinations(cards, half)]
    else:
        twice = cards + cards
        splits = [set(twice[i : i + half]) for i in range(half)]
    over_links = min(_max_flow(topology, split, links=True) for split in splits)
    return over_links or min(_max_flow(topology, split, links=False) for split in splits)


def _max_flow(topology: Topology, side: set[str], *, links: bool) -> float:
    """The most bytes per second from the cards of `side` to all others."""
    left: dict[str, dict[str, float]] = {v: {} for v in (*topology.vertices, "", "*")}
    for wire in topology.wires:
        if not (links and topology.host_wire(wire)):
            row = left[wire.start]
            row[wire.end] = row.get(wire.end, 0.0) + wire.bytes_per_s
    for card in topology.cards:
        start, end = ("", card) if card in side else (card, "*")
        left[start][end] = float("inf")
    total = 0.0
    while (path := _way(left)) is not None:
        steps = list(pairwise(path))
        most = min(left[a][b] for a, b in steps)
        for a, b in steps:
            left[a][b] -= most
            left[b][a] = left[b].get(a, 0.0) + most
        total += most
    return total


def _way(left: dict[str, dict[str, float]]) -> list[str] | None:
    """A shortest path from `""` to `"*"` on which something is left."""
    came = {"": ""}
    todo = deque([""])
    while todo:
        vertex = todo.popleft()
        for end, rate in left[vertex].items():
            if rate > 1.0 and end not in came:
                came[end] = vertex
                if end == "*":
                    path = [end]
                    while path[-1]:
                        path.append(came[path[-1]])
                    return path[::-1]
                todo.append(end)
    return None
