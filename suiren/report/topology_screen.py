"""A topology on the terminal: what is joined to what, how fast, and what is assumed."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from suiren.hw.cluster import Cluster
from suiren.hw.topology import Topology
from suiren.hw.wiring import topology_of
from suiren.report.topology import TopologyReport
from suiren.units import GB, show_bytes, show_time


def screen_of(report: TopologyReport, cluster: Cluster) -> RenderableType:
    """Everything, top to bottom, within 100 columns."""
    parts: list[RenderableType] = [Panel(_head(report), title=f"{report.title} ({report.name})",
                                         title_align="left")]  # fmt: skip
    parts.append(_links(report))
    if report.pairs:
        parts.append(_matrix(report))
    parts.append(host_tree(topology_of(cluster.node)))
    parts.append(_rings(report))
    if report.assumed:
        parts.append(Text("assumed", style="bold yellow"))
        parts += [Text(f"  · {text}") for text in report.assumed]
    return Group(*parts)


def _head(report: TopologyReport) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    many = f"{report.num_cards:,} cards"
    if report.num_nodes > 1:
        many += f": {report.num_nodes:,} nodes of {report.cards_per_node}"
    table.add_row("cards", f"{many}, {report.card}")
    table.add_row("wiring", report.wiring)
    if len(report.groups) > 1:
        groups = "  ".join(_numbers(group) for group in report.groups)
        table.add_row("groups", f"{groups}   (every two of a group are neighbours)")
    if report.cards_per_node > 1:
        table.add_row("bisection", f"{_gb(report.bisection_bytes_per_s)} one way, in a node")
    if report.nics:
        rate = f"{report.nics} × {_gb(report.nic_bytes_per_s)} one way a node"
        table.add_row("NICs", rate)
    if report.torus:
        table.add_row("torus", " × ".join(map(str, report.torus)))
    elif report.fabric:
        table.add_row("fabric", report.fabric)
    if report.cluster_bisection_bytes_per_s:
        table.add_row("", f"{_gb(report.cluster_bisection_bytes_per_s)} one way between the halves")
    return table


def _links(report: TopologyReport) -> Table:
    table = Table(title="links (rates one way)", title_justify="left", box=None, padding=(0, 1))
    table.add_column("medium")
    table.add_column("between")
    for name in ("links", "each", "latency"):
        table.add_column(name, justify="right")
    table.add_column("fact")
    for row in report.links:
        style = "yellow" if row.kind == "assumed" else ""
        table.add_row(row.medium, row.ends, str(row.links), _gb(row.bytes_per_s),
                      show_time(row.latency_s), Text(row.kind, style=style))  # fmt: skip
    return table


def _matrix(report: TopologyReport) -> Table:
    """GB/s from card to card; a rate in brackets goes through something else than a link."""
    title = "GB/s from card to card (through the host or other cards)"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("", style="dim")
    for card in range(report.cards_per_node):
        table.add_column(str(card), justify="right", no_wrap=True)
    cells = {(p.start, p.end): p for p in report.pairs}
    for start in range(report.cards_per_node):
        row: list[str | Text] = [str(start)]
        for end in range(report.cards_per_node):
            pair = cells.get((start, end))
            row.append("·" if pair is None else _cell(pair.bytes_per_s, pair.over))
        table.add_row(*row)
    return table


def _cell(rate: float, over: str) -> Text:
    number = f"{rate / GB:.3g}"
    if over in ("direct", "switch"):
        return Text(number, style="green")
    return Text(f"({number})", style="dim")


def host_tree(topology: Topology) -> RenderableType:
    """CPUs, PCIe switches, cards and NICs as a tree; switches of links below."""
    tree = Tree(Text("host side", style="bold"))
    below = _below(topology)
    for root in topology.of_kind("cpu"):
        branch = tree.add(root)
        for child in below.get(root, []):
            leaf = branch.add(_leaf(topology, root, child))
            inner = below.get(child, [])
            if inner:
                for name in _folded(topology, child, inner):
                    leaf.add(name)
    for switch in topology.of_kind("switch"):
        ends = [w for w in topology.wires if w.start == switch]
        rate = _gb(ends[0].bytes_per_s) if ends else ""
        tree.add(f"{switch}: {len(ends)} cards, {ends[0].medium}, {rate} each")
    return tree


def _below(topology: Topology) -> dict[str, list[str]]:
    """What hangs below each CPU, PCIe switch and card that has NICs of its own."""
    order = ("cpu", "pcie", "card", "nic")
    found: dict[str, list[str]] = {}
    for wire in topology.wires:
        kinds = (topology.vertices[wire.start], topology.vertices[wire.end])
        if not set(kinds) <= set(order):
            continue
        if order.index(kinds[0]) < order.index(kinds[1]):
            found.setdefault(wire.start, []).append(wire.end)
    return found


def _leaf(topology: Topology, start: str, end: str) -> str:
    wire = next(w for w in topology.wires if (w.start, w.end) == (start, end))
    return f"{end}  {wire.medium}, {_gb(wire.bytes_per_s)}"


def _folded(topology: Topology, start: str, ends: list[str]) -> list[str]:
    """One line for all children of a kind and rate."""
    groups: dict[str, list[str]] = {}
    for end in ends:
        wire = next(w for w in topology.wires if (w.start, w.end) == (start, end))
        groups.setdefault(f"{wire.medium}, {_gb(wire.bytes_per_s)} each", []).append(end)
    return [f"{' '.join(names)}  {what}" for what, names in groups.items()]


def _rings(report: TopologyReport) -> Text:
    text = Text()
    if report.rings:
        shown = [" ".join(map(str, order)) for order in report.rings[:4] if len(order) <= 16]
        more = f" and {len(report.rings) - 4} more" if len(report.rings) > 4 else ""
        word = "ring" if len(report.rings) == 1 else "rings"
        text.append(f"{len(report.rings)} {word} through a node", style="bold")
        text.append(f": {'; '.join(shown)}{more}\n" if shown else "\n")
    if report.all_reduce_s:
        text.append(f"all_reduce of {show_bytes(report.all_reduce_bytes)} on all cards: ")
        text.append(show_time(report.all_reduce_s), style="bold")
        text.append(f" ({report.all_reduce_how})")
    return text


def _numbers(group: tuple[int, ...]) -> str:
    if len(group) > 2 and _run(group):
        return f"{group[0]}–{group[-1]}"
    return " ".join(map(str, group))


def _run(group: tuple[int, ...]) -> bool:
    return list(group) == list(range(group[0], group[-1] + 1))


def _gb(rate: float) -> str:
    return f"{rate / GB:,.4g} GB/s" if rate < 1e13 else f"{rate / 1e12:,.4g} TB/s"
