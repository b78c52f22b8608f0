"""The graph of a node as SVG: cards in a row, the host above, links and switches below."""

from __future__ import annotations

from html import escape

from suiren.hw.topology import Topology, Wire
from suiren.units import GB

#: Wires of a medium share a colour; host wires are grey.
_COLOURS = ("#2459c4", "#b64d7e", "#0f9486", "#cf6a12", "#8a4fc7", "#5c9440")
_GREY = "#8d98a8"
_ROW_Y = {"fabric": 30, "nic": 90, "cpu": 150, "pcie": 220, "card": 310}
_STEP, _HALF, _TALL = 96, 32, 28


def colour_of(medium: str, media: tuple[str, ...]) -> str:
    """The colour of a medium's wires."""
    if medium.startswith(("PCIe", "CPU", "NIC")):
        return _GREY
    return _COLOURS[media.index(medium) % len(_COLOURS)]


def svg(topology: Topology) -> str:
    """The picture; hovering over a wire tells its medium, rate and latency."""
    places = places_of(topology)
    width = max(x for x, _ in places.values()) + 80
    height = max(y for _, y in places.values()) + 60
    deepest = _deepest(topology, places)
    height = max(height, deepest + 30)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="100%" role="img" font-family="system-ui, sans-serif" font-size="12">',
        "<title>the graph of a node</title>",
    ]
    parts += [_wire(topology, wire, places) for wire in topology.wires if wire.start < wire.end]
    parts += [_vertex(name, kind, places[name]) for name, kind in topology.vertices.items()]
    return "\n".join([*parts, "</svg>"])


def places_of(topology: Topology) -> dict[str, tuple[float, float]]:
    """Centres in pixels: cards in a row, all else in rows spread over the same width."""
    cards = topology.cards
    width = max(4, len(cards)) * _STEP
    found = {}
    rows = {kind: topology.of_kind(kind) for kind in ("fabric", "nic", "cpu", "pcie", "switch")}
    for number, card in enumerate(cards):
        found[card] = (60 + _STEP * (number + 0.5) * width / _STEP / len(cards), _ROW_Y["card"])
    for kind, names in rows.items():
        y = _ROW_Y.get(kind, 460)
        for number, name in enumerate(names):
            found[name] = (60 + width * (number + 0.5) / len(names), y)
    return {name: (float(x), float(y)) for name, (x, y) in found.items()}


def _sag(a: tuple[float, float], b: tuple[float, float]) -> float:
    """How far a wire between two cards hangs down."""
    return 20 + 0.42 * abs(a[0] - b[0])


def _deepest(topology: Topology, places: dict[str, tuple[float, float]]) -> float:
    cards = set(topology.cards)
    hanging = [
        places[w.start][1] + _sag(places[w.start], places[w.end])
        for w in topology.wires
        if w.start in cards and w.end in cards
    ]
    return max(hanging, default=0.0)


def _wire(topology: Topology, wire: Wire, places: dict[str, tuple[float, float]]) -> str:
    a, b = places[wire.start], places[wire.end]
    colour = colour_of(wire.medium, topology.media())
    thick = max(1.0, min(6.0, (wire.bytes_per_s / GB) ** 0.5 / 4))
    told = (f"{wire.start} – {wire.end}: {wire.medium}, {wire.bytes_per_s / GB:.4g} GB/s one way, "
            f"{wire.latency_s * 1e9:.0f} ns")  # fmt: skip
    if topology.vertices[wire.start] == topology.vertices[wire.end] == "card":
        middle, deep = (a[0] + b[0]) / 2, a[1] + 2 * _sag(a, b)
        path = f"M{a[0]:.1f} {a[1] + 14:.1f} Q{middle:.1f} {deep:.1f} {b[0]:.1f} {b[1] + 14:.1f}"
    else:
        path = f"M{a[0]:.1f} {a[1]:.1f} L{b[0]:.1f} {b[1]:.1f}"
    return (f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick:.1f}" '
            f'stroke-opacity="0.75"><title>{escape(told)}</title></path>')  # fmt: skip


def _vertex(name: str, kind: str, place: tuple[float, float]) -> str:
    x, y = place
    fill = {"card": "#2459c4", "switch": "#0f9486"}.get(kind, "#5b6675")
    return (f'<g><rect x="{x - _HALF:.1f}" y="{y - _TALL / 2:.1f}" width="{2 * _HALF}" '
            f'height="{_TALL}" rx="5" fill="{fill}"/><text x="{x:.1f}" y="{y + 4:.1f}" '
            f'text-anchor="middle" style="fill:#ffffff">{escape(name)}</text></g>')  # fmt: skip
