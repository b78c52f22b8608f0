"""How long a collective takes on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster

COLLECTIVES = (
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "reduce", "gather",
    "scatter", "send", "barrier",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CollectiveTime:
    """What a collective takes, and what was chosen for it."""

    seconds: float
    algorithm: str
    """`ring`, `tree`, `hierarchical`, `direct`, `switch`."""
    protocol: str
    """`simple`, `ll`, `ll128`."""
    bound: str
    """What bounds it: `latency`, the name of a link, `nic`."""


def time_collective(cluster: Cluster, op: str, size_bytes: float, place: Place) -> CollectiveTime:
    """The time from the moment the last rank joins.

    `size_bytes` is the large buffer: what a rank holds after an all_gather or before a
    reduce_scatter, what it holds before an all_reduce or an all_to_all, the message of a send.
    A send's place names its two ends.
    """
    return _timed(cluster.name, op, size_bytes, place, _Held(cluster))


class _Held:
    """A cluster as an argument that does not take part in a lookup; its name does."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=65536)
def _timed(name: str, op: str, size_bytes: float, place: Place, held: _Held) -> CollectiveTime:
    node, n = held.cluster.node, place.size
    if n == 1:
        return CollectiveTime(0.0, "direct", "simple", "latency")
    inside = place.nodes == 1
    rate = float(node.pair_bytes_per_s if inside else node.nic_bytes_per_s or node.pair_bytes_per_s)
    factor = {"all_reduce": 2 * (n - 1) / n, "send": 1.0}.get(op, (n - 1) / n)
    seconds = factor * size_bytes / rate + 2e-6 * (n - 1)
    return CollectiveTime(seconds, "ring", "simple", "link" if inside else "nic")
