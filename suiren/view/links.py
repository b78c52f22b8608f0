"""A node's graph with places to draw at, and what one collective puts on every link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suiren.fleet.algorithms import ALGORITHMS
from suiren.fleet.collective import chosen, time_collective
from suiren.fleet.fold import fold
from suiren.fleet.place import Place
from suiren.hw.find_cluster import UnknownCluster, cluster_of
from suiren.hw.topology import Topology
from suiren.hw.wiring import topology_of
from suiren.report.topology_svg import places_of

#: Collectives whose load is drawn.
OPS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast")
#: Bytes of the buffer.
SIZE_BYTES = 2**28


def graph_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """The graph of a topology document's cluster; None where the catalogue has no such name."""
    try:
        cluster = cluster_of(str(document.get("name", "")))
    except (UnknownCluster, ValueError, OSError):
        return None
    topology = topology_of(cluster.node)
    places = places_of(topology)
    number = {name: n for n, name in enumerate(topology.vertices)}
    return {
        "vertices": [{"name": name, "kind": kind, "x": places[name][0], "y": places[name][1]}
                     for name, kind in topology.vertices.items()],
        "wires": [{"start": number[w.start], "end": number[w.end], "medium": w.medium,
                   "bytes_per_s": float(w.bytes_per_s), "latency_s": float(w.latency_s),
                   "kind": w.bytes_per_s.kind} for w in topology.wires],
        "size_bytes": SIZE_BYTES,
        "loads": [load for op in OPS if (load := _load(cluster, topology, op)) is not None],
    }  # fmt: skip


def _load(cluster: Any, topology: Topology, op: str) -> dict[str, Any] | None:
    """Bytes that each wire of a node carries, and the share of the time that it is busy."""
    place = Place(cluster.num_nodes, tuple(range(len(topology.cards))))
    if place.size < 2 or cluster.torus:
        return None
    try:
        took = time_collective(cluster, op, SIZE_BYTES, place)
        (algorithm, protocol), _ = chosen(cluster, op, SIZE_BYTES, place)
        folded = fold(cluster, place)
        phases = ALGORITHMS[algorithm](folded, op, float(SIZE_BYTES))
    except (ValueError, KeyError):
        return None
    carried = [0.0] * len(topology.wires)
    for phase in phases:
        for flow in phase.flows:
            for wire, share in flow.wires:
                # wires beyond the node's own are the upper switches
                if wire < len(carried):
                    carried[wire] += phase.steps * share * flow.size_bytes
    rates = [float(w.bytes_per_s) for w in topology.wires]
    return {
        "op": op, "seconds": took.seconds, "algorithm": algorithm, "protocol": protocol,
        "bound": took.bound, "bytes": carried,
        "busy": [b / r / took.seconds if r and took.seconds else 0.0
                 for b, r in zip(carried, rates, strict=True)],
    }  # fmt: skip
