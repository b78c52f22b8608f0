"""Torus: rings along every side at once, both ways round, one side after the other.

The data is cut into as many parts as there are sides; each part starts with another side, so
that every link works all the time. All cards do the same, so one stands for all: its links are
one wire for each direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from suiren.fleet.fold import Fold
from suiren.fleet.network import Flow
from suiren.fleet.phases import Phase
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster
from suiren.hw.wiring import LINK_S, Wiring


@dataclass(frozen=True, slots=True)
class Side:
    """A side of the torus that a group spans."""

    length: int
    closed: bool
    """True where the group's ends on this side are neighbours too."""


def sides_of(cluster: Cluster, place: Place) -> tuple[Side, ...]:
    """The sides that a group spans: those that its stride steps along."""
    stride = 1 if len(place.local) > 1 or place.nodes == 1 else cluster.cards_per_node
    stride *= place.distance if len(place.local) == 1 else 1
    left, found = place.size, []
    for length in cluster.torus:
        if stride > 1:
            skipped = min(stride, length)
            stride, length = max(1, stride // skipped), length // skipped
        part = min(length, left)
        if part > 1:
            found.append(Side(part, part == length and closes(length, len(cluster.torus))))
        left = -(-left // max(1, part))
    return tuple(found)


def closes(length: int, sides: int) -> bool:
    """Whether a whole side is a ring.

    Optical switches close multiples of four in three dimensions; in two, only a pod's sides close.
    """
    return length >= 16 or (sides == 3 and length % 4 == 0)


def fold_torus(cluster: Cluster, place: Place, sides: tuple[Side, ...]) -> Fold:
    """One card whose wires are its links, two a side."""
    rate = cluster.node.pair_bytes_per_s
    link = cluster.card.link
    medium = link.name if link is not None else "link"
    wiring = Wiring()
    card = wiring.add("card", 1)[0]
    for number in range(len(sides)):
        beyond = f"switch{number}"
        wiring.vertices[beyond] = "switch"
        wiring.join(card, beyond, medium, rate, LINK_S)
    topology = wiring.done()
    count = len(topology.wires)
    return Fold(
        topology, Place(1, (0,)), (*(float(rate),) * count, 1.0, 1.0),
        (*(medium,) * count, medium, medium), 0.0, 0.0, cluster.name,
    )  # fmt: skip


def phases(sides: tuple[Side, ...], op: str, size_bytes: float) -> tuple[Phase, ...]:
    """A phase for each side, there and back for an all_reduce."""
    if op == "all_to_all":
        return (_everywhere(sides, size_bytes),)
    if op == "send":
        return (Phase((Flow(((0, 1.0),), size_bytes),), 1, 1, last=False),)
    if op in ("gather", "scatter"):
        return (_rooted(sides, size_bytes),)
    scatter = tuple(_along(sides, stage, size_bytes) for stage in range(len(sides)))
    gather = scatter[::-1]
    if op not in ("all_gather", "reduce_scatter"):
        # a broadcast scatters and gathers, a reduce scatters sums and gathers them
        return (*scatter, *gather)
    return gather if op == "all_gather" else scatter


def _along(sides: tuple[Side, ...], stage: int, size_bytes: float) -> Phase:
    """One stage: the part that started at side k is now at side k + stage."""
    count = len(sides)
    flows, steps = [], 0.0
    for start in range(count):
        held = size_bytes / count
        for before in range(stage):
            held /= sides[(start + before) % count].length
        number = (start + stage) % count
        side = sides[number]
        steps = max(steps, side.length - 1)
        moved = held * (side.length - 1) / side.length
        both = moved / 2 if side.closed else moved
        flows += [Flow(((2 * number, 1.0),), both), Flow(((2 * number + 1, 1.0),), both)]
    way = max((s.length // 2 if s.closed else s.length - 1) for s in sides)
    return Phase(tuple(flows), 1, way, last=False)


def _rooted(sides: tuple[Side, ...], size_bytes: float) -> Phase:
    """All of it over the links of one card, both ways of every side."""
    size = 1
    for side in sides:
        size *= side.length
    ways = sum(2 if side.closed else 1 for side in sides)
    piece = size_bytes * (size - 1) / size / ways
    flows = []
    for number, side in enumerate(sides):
        flows.append(Flow(((2 * number, 1.0),), piece))
        if side.closed:
            flows.append(Flow(((2 * number + 1, 1.0),), piece))
    hops = sum(side.length // 2 if side.closed else side.length - 1 for side in sides)
    return Phase(tuple(flows), 1, hops, last=False)


def _everywhere(sides: tuple[Side, ...], size_bytes: float) -> Phase:
    """All to all: a message goes a quarter of every closed side on average, each way."""
    flows, hops = [], 0
    for number, side in enumerate(sides):
        mean = side.length / 4 if side.closed else side.length / 3
        hops += side.length // 2 if side.closed else side.length - 1
        for way in (0, 1):
            flows.append(Flow(((2 * number + way, 1.0),), size_bytes * mean / 2))
    return Phase(tuple(flows), 1, hops, last=False)
