"""How long a collective takes on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from suiren.fleet.algorithms import ALGORITHMS, torus
from suiren.fleet.choose import by_nccl, candidates, library_of
from suiren.fleet.fold import Fold, fold
from suiren.fleet.phases import Priced, carriers, least_s, price
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster

COLLECTIVES = (
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "reduce", "gather",
    "scatter", "send", "barrier",
)  # fmt: skip


#: Ops for which NCCL's own prediction chooses in one node, where its constants were checked on
#: measured tables; between nodes, and for other ops and libraries, what is fastest is taken.
PREDICTED = frozenset({"all_reduce", "all_gather", "reduce_scatter", "barrier"})
#: What a barrier sends.
BARRIER_BYTES = 8.0


@dataclass(frozen=True, slots=True)
class CollectiveTime:
    """What a collective takes, and what was chosen for it."""

    seconds: float
    algorithm: str
    """`ring`, `tree`, `hierarchical`, `direct`, `switch`, `torus`."""
    protocol: str
    """`simple`, `ll`, `ll128`; `pairs` and `message` between pairs, `in_switch`."""
    bound: str
    """What bounds it: `latency`, the name of a link, `nic`."""
    latency_s: float = 0.0
    """The part that no wider link would shorten."""


def time_collective(cluster: Cluster, op: str, size_bytes: float, place: Place) -> CollectiveTime:
    """The time from the moment the last rank joins.

    `size_bytes` is the large buffer: what a rank holds after an all_gather or before a
    reduce_scatter, what it holds before an all_reduce or an all_to_all, the message of a send.
    A send's place names its two ends. Raises ValueError for an op that is no collective and for
    a group that does not fit the cluster.
    """
    return _timed(_Held(cluster), op, size_bytes, place)


class _Held:
    """A cluster as a key: the same object, or one of the same name, node, and fabric."""

    __slots__ = ("cluster", "key")

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.key = (cluster.name, cluster.num_nodes, cluster.fabric, cluster.oversubscription,
                    cluster.nodes_per_leaf, cluster.torus, id(cluster.node))  # fmt: skip

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.key == other.key


@lru_cache(maxsize=65536)
def _timed(held: _Held, op: str, size_bytes: float, place: Place) -> CollectiveTime:
    if op not in COLLECTIVES:
        raise ValueError(f"{op!r} is no collective; known are {', '.join(COLLECTIVES)}")
    if place.size < 2:
        return CollectiveTime(0.0, "direct", "simple", "latency")
    (algorithm, protocol), priced = chosen(held.cluster, op, size_bytes, place)
    return CollectiveTime(priced.seconds, algorithm, protocol, priced.bound, priced.latency_s)


def chosen(
    cluster: Cluster, op: str, size_bytes: float, place: Place
) -> tuple[tuple[str, str], Priced]:
    """The library's choice for a group of at least two, and its price."""
    size_bytes = BARRIER_BYTES if op == "barrier" else float(size_bytes)
    library = library_of(cluster)
    sides = torus.sides_of(cluster, place) if cluster.torus else ()
    if sides:
        return _on_torus(cluster, op, size_bytes, place, library, sides)
    folded = fold(cluster, place)
    options: Sequence[tuple[str, str]] = candidates(folded, op, library)
    if library == "NCCL" and op in PREDICTED and place.nodes == 1:
        options = [by_nccl(folded, op, size_bytes, cluster.card.chip.family)]
    return _best(folded, op, size_bytes, options, library)


def _best(
    folded: Fold, op: str, size_bytes: float, options: Sequence[tuple[str, str]], library: str
) -> tuple[tuple[str, str], Priced]:
    """The fastest option; those that cannot be it are not looked at closely."""
    how = carriers(folded, library)
    phases = {algorithm: ALGORITHMS[algorithm](folded, op, size_bytes)
             for algorithm in dict.fromkeys(algorithm for algorithm, _ in options)}  # fmt: skip
    if len(options) == 1:
        algorithm, protocol = options[0]
        return options[0], price(phases[algorithm], folded, how, protocol)
    least = {o: least_s(phases[o[0]], folded, how, o[1]) for o in options}
    best: tuple[tuple[str, str], Priced] | None = None
    for option in sorted(options, key=lambda o: least[o]):
        if best is not None and least[option] * (1 - 1e-9) > best[1].seconds:
            break
        found = price(phases[option[0]], folded, how, option[1])
        if best is None or found.seconds < best[1].seconds:
            best = option, found
    assert best is not None
    return best


def _on_torus(
    cluster: Cluster,
    op: str,
    size_bytes: float,
    place: Place,
    library: str,
    sides: tuple[torus.Side, ...],
) -> tuple[tuple[str, str], Priced]:
    folded = torus.fold_torus(cluster, place, sides)
    phases = torus.phases(sides, op, size_bytes)
    how = carriers(folded, library)
    protocols = {"all_to_all": ("pairs",), "gather": ("pairs",), "scatter": ("pairs",),
                 "send": ("message",)}.get(op, ("ll", "simple"))  # fmt: skip
    prices = {("torus", p): price(phases, folded, how, p) for p in protocols}
    best = min(prices, key=lambda option: prices[option].seconds)
    return best, prices[best]
