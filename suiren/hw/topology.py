"""Topology: who is wired to whom in one node, as a graph of directed wires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from suiren.hw.fact import Fact

#: What a vertex can be. `fabric` is the network outside, behind the NICs.
VertexKind = Literal["card", "switch", "pcie", "cpu", "nic", "fabric"]
VERTEX_KINDS: tuple[VertexKind, ...] = ("card", "switch", "pcie", "cpu", "nic", "fabric")
FABRIC = "fabric"


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One direction of a link between two vertices."""

    start: str
    end: str
    medium: str
    """What it is made of: `NVLink 3`, `ESL-B bridge`, `PCIe 4.0 x16`, `NIC`."""
    bytes_per_s: Fact
    latency_s: Fact


class BadTopology(ValueError):  # noqa: N818 - reads as what it is
    """A graph that cannot be a node; the message names the vertex or wire."""


@dataclass(frozen=True, eq=False)
class Topology:
    """The graph of one node. Equal only to itself, so that it can be a key."""

    vertices: Mapping[str, VertexKind]
    """Name to kind, in the order in which they are drawn."""
    wires: tuple[Wire, ...]
    assumed: str = ""
    """What nobody published about the link map, in one sentence."""
    forwards: bool = False
    """True where cards pass on what is not meant for them, as in a torus."""
    cards: tuple[str, ...] = field(init=False)
    """The cards by their number in the node."""

    def __post_init__(self) -> None:
        """Raises BadTopology for an unknown vertex, a wire to itself, or a lone card."""
        for wire in self.wires:
            for end in (wire.start, wire.end):
                if end not in self.vertices:
                    raise BadTopology(f"a wire names {end}, which is no vertex")
            if wire.start == wire.end:
                raise BadTopology(f"a wire joins {wire.start} to itself")
        cards = tuple(v for v, kind in self.vertices.items() if kind == "card")
        if not cards:
            raise BadTopology("there is no card")
        object.__setattr__(self, "cards", cards)
        lone = sorted(set(cards[1:]) - self.reached(cards[0])) if len(cards) > 1 else []
        if lone:
            raise BadTopology(f"{cards[0]} cannot reach {', '.join(lone)}")

    def of_kind(self, kind: VertexKind) -> tuple[str, ...]:
        """The vertices of a kind, in order."""
        return tuple(v for v, k in self.vertices.items() if k == kind)

    def leaving(self) -> dict[str, list[int]]:
        """Numbers of the wires that start at each vertex."""
        found: dict[str, list[int]] = {v: [] for v in self.vertices}
        for number, wire in enumerate(self.wires):
            found[wire.start].append(number)
        return found

    def reached(self, start: str) -> set[str]:
        """Every vertex that a message from `start` can reach inside the node."""
        leaving = self.leaving()
        seen, todo = {start}, [start]
        while todo:
            for number in leaving[todo.pop()]:
                end = self.wires[number].end
                if end not in seen and self.vertices[end] != "fabric":
                    seen.add(end)
                    todo.append(end)
        return seen

    def direct(self, media: frozenset[str] | None = None) -> dict[tuple[str, str], float]:
        """Bytes per second of the wires between neighbouring cards, parallel ones summed."""
        found: dict[tuple[str, str], float] = {}
        for wire in self.wires:
            pair = (wire.start, wire.end)
            if any(self.vertices[v] != "card" for v in pair):
                continue
            if media is None or wire.medium in media:
                found[pair] = found.get(pair, 0.0) + wire.bytes_per_s
        return found

    def host_wire(self, wire: Wire) -> bool:
        """True for PCIe and CPU wires, NICs and the fabric: what is no link between cards."""
        kinds = (self.vertices[wire.start], self.vertices[wire.end])
        return any(kind in ("pcie", "cpu", "nic", "fabric") for kind in kinds)

    def has_links(self) -> bool:
        """True where cards have links of their own, beside the host's PCIe."""
        return not all(self.host_wire(wire) for wire in self.wires)

    def media(self) -> tuple[str, ...]:
        """What the wires are made of, in order of first use."""
        return tuple(dict.fromkeys(wire.medium for wire in self.wires))

    def facts(self) -> dict[str, Fact]:
        """Rates and latencies by medium, each once, for a page of sources."""
        found: dict[str, Fact] = {}
        for wire in self.wires:
            found.setdefault(f"{wire.medium}, bytes_per_s", wire.bytes_per_s)
            found.setdefault(f"{wire.medium}, latency_s", wire.latency_s)
        return found
