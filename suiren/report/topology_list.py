"""The nodes and clusters of the catalogue, as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from suiren.hw.catalog import NODES
from suiren.hw.catalog.cluster import CLUSTERS
from suiren.hw.route import bisection_bytes_per_s
from suiren.hw.wiring import topology_of
from suiren.units import GB


def catalogue() -> RenderableType:
    """Two tables: what a node name means, what a cluster name means."""
    nodes = Table(title="nodes", title_justify="left", box=None, padding=(0, 1))
    for name in ("node", "what"):
        nodes.add_column(name, overflow="fold")
    for name in ("cards", "bisection, GB/s", "NICs, GB/s"):
        nodes.add_column(name, justify="right")
    for node in NODES.values():
        topology = topology_of(node)
        nics = f"{node.nics:g} × {node.nic_bytes_per_s / GB:g}" if node.nic_bytes_per_s else "–"
        nodes.add_row(node.name, node.title, f"{node.num_cards:g}",
                      f"{bisection_bytes_per_s(topology) / GB:.4g}", nics)  # fmt: skip
    clusters = Table(title="clusters", title_justify="left", box=None, padding=(0, 1))
    for name in ("cluster", "what", "node", "fabric"):
        clusters.add_column(name, overflow="fold")
    clusters.add_column("cards", justify="right")
    for cluster in CLUSTERS:
        clusters.add_row(cluster.name, cluster.title, cluster.node.name, cluster.fabric,
                         f"{cluster.num_ranks:,}")  # fmt: skip
    return Group(nodes, "", clusters)
