"""A collective as phases of flows, and what the phases take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.fold import UPPER, Fold
from suiren.fleet.network import Flow, busiest, slowest
from suiren.fleet.rings import rings_of
from suiren.hw.catalog.transports import transport_of
from suiren.hw.route import latency_s
from suiren.hw.transport import Protocol, Transport

_NIC_MEDIA = frozenset({"NIC", "PCIe to NIC", UPPER})


@dataclass(frozen=True, slots=True)
class Phase:
    """Equal steps: simulated once, counted `steps` times."""

    flows: tuple[Flow, ...]
    """Of one step."""
    steps: float
    inside: float
    """Hops from card to card inside a node, in a row."""
    between: float = 0.0
    """Hops from node to node, in a row."""
    last: bool = True
    """Whether steps follow each other, so that the last one's copy comes on top; False where
    pieces stream through all levels at once."""
    straight: bool = False
    """Whether hops inside a node join any two cards, not only neighbours of a ring."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A wait, then flows; bytes are what the wires carry, message format included."""

    wait_s: float
    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Priced:
    """What phases take and what bounds them."""

    seconds: float
    latency_s: float
    bound: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Carriers:
    """The transports of a group: of its links inside a node, and between nodes."""

    inside: Transport
    between: Transport
    hop_inside_s: float
    """Latency of the wires alone, from neighbour to neighbour of a ring, the mean of its hops."""
    hop_straight_s: float
    """The same from one card to the one that is farthest from it."""
    hop_between_s: float
    by_medium: Mapping[str, Transport]


@lru_cache(maxsize=1024)
def carriers(fold: Fold, library: str) -> Carriers:
    """The transports on the group's rings inside a node; the slowest one rules."""
    cards = fold.place.local
    arcs = [(arc, ring.share) for ring in rings_of(fold.topology, cards) for arc in ring.arcs()]
    ways = [fold.inside(*arc) for arc, _ in arcs]
    media = dict.fromkeys(fold.media[n] for way in ways for n, _ in way)
    by_medium = {medium: transport_of(medium, library) for medium in dict.fromkeys(fold.media)}
    net = transport_of("NIC", library)
    slow = [by_medium[m] for m in media]
    if not slow:
        slow = [by_medium[fold.media[0]]] if fold.place.nodes == 1 else [net]
    inside_s = straight_s = float(fold.topology.wires[0].latency_s)
    if ways:
        # some neighbours are nearer than others, and what goes round a ring meets both
        hops = zip(ways, arcs, strict=True)
        inside_s = sum(latency_s(fold.topology, way) * share for way, (_, share) in hops)
        inside_s /= len(cards)
        straight_s = inside_s
        if fold.topology.has_links():
            straight_s = max(fold.inside_s(cards[0], card) for card in cards[1:])
    between_s = fold.between_s(cards[0], cards[0]) if fold.place.nodes > 1 else 0.0
    inside = max(slow, key=lambda t: t.simple.hop_s)
    return Carriers(inside, net, inside_s, straight_s, between_s, by_medium)


def price(phases: tuple[Phase, ...], fold: Fold, how: Carriers, protocol: str) -> Priced:
    """Seconds of the phases one after the other under a message protocol."""
    return _priced(phases, fold, how, protocol, slowest)


def least_s(phases: tuple[Phase, ...], fold: Fold, how: Carriers, protocol: str) -> float:
    """What the phases take at least: as if every wire were always as busy as the busiest."""
    return _priced(phases, fold, how, protocol, busiest).seconds


def _priced(
    phases: tuple[Phase, ...], fold: Fold, how: Carriers, protocol: str,
    timed: Callable[[tuple[Flow, ...], tuple[float, ...]], tuple[float, int]],
) -> Priced:
    """The price, a step of a phase timed by `timed`."""
    spread = fold.place.nodes > 1
    inside, between = _protocol_of(how.inside, protocol), _protocol_of(how.between, protocol)
    base_s = max(inside.base_s, between.base_s if spread else 0.0)
    stages: list[Stage] = []
    moving, longest = 0.0, (0.0, "latency")
    for phase in phases:
        flows = loaded(phase.flows, fold.media, how, protocol)
        step_s, wire = timed(flows, fold.capacity_bytes_per_s)
        wait_s = _waits_s(phase, step_s, how, protocol, spread)
        extra = (between if spread else inside).last if phase.last else 0.0
        steps = phase.steps + extra if phase.steps else 0.0
        moving += steps * step_s
        longest = max(longest, (steps * step_s, fold.media[wire] if wire >= 0 else "latency"))
        whole = tuple(Flow(f.wires, f.size_bytes * steps) for f in flows)
        stages.append(Stage(wait_s if stages else wait_s + base_s, whole))
    waiting = sum(stage.wait_s for stage in stages)
    bound = longest[1] if moving > waiting else "latency"
    name = "nic" if bound in _NIC_MEDIA else bound
    return Priced(waiting + moving, waiting, name, tuple(stages))


def _waits_s(phase: Phase, step_s: float, how: Carriers, protocol: str, spread: bool) -> float:
    """Latency of a phase's hops; long steps hide part of it where the transport can."""
    wires_s = how.hop_straight_s if phase.straight else how.hop_inside_s
    hop_s = _protocol_of(how.inside, protocol).hop_s + wires_s
    hides_s = (how.between if spread else how.inside).hides_s
    if protocol == "simple" and phase.last and hides_s is not None:
        hop_s /= 1 + (step_s / hides_s) ** 2
    far_s = _protocol_of(how.between, protocol).hop_s + how.hop_between_s
    return phase.inside * hop_s + phase.between * far_s


def loaded(
    flows: tuple[Flow, ...], media: tuple[str, ...], how: Carriers, protocol: str
) -> tuple[Flow, ...]:
    """The flows with what the message format adds to their load on every wire.

    A message through a NIC has the NIC's format all the way.
    """
    shares = {m: float(_protocol_of(t, protocol).share) for m, t in how.by_medium.items()}
    net = float(_protocol_of(how.between, protocol).share)
    own = [shares[medium] for medium in media]
    nics = {n for n, medium in enumerate(media) if medium in _NIC_MEDIA}
    found = []
    for flow in flows:
        if nics.isdisjoint([n for n, _ in flow.wires]):
            ways = tuple([(n, part / own[n]) for n, part in flow.wires])
        else:
            ways = tuple([(n, part / net) for n, part in flow.wires])
        found.append(Flow(ways, flow.size_bytes))
    return tuple(found)


def _protocol_of(transport: Transport, name: str) -> Protocol:
    if name == "in_switch" and transport.in_switch is None:
        return transport.simple
    return transport.protocol(name)
