"""A rank's program placed on a cluster: its collectives carry what they take there.

A collective's call gets three arguments: `takes_ps`, from the moment the last rank joins;
`least_ps`, the time its bytes need on the links at their printed rate; and `crosses_nodes`. What
the host computes gets the rank's share of the host's memory.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from suiren.fleet.collective import CollectiveTime, time_collective
from suiren.fleet.place import Place, place_of
from suiren.fleet.ranks import Group, RankProgram, int_of, is_collective
from suiren.hw.cluster import Cluster
from suiren.hw.host import share_bytes_per_s
from suiren.mapper.families.host import is_on_host, with_rate
from suiren.trace.call import Call
from suiren.trace.program import Program
from suiren.units import PS_PER_S


class ClusterTooSmall(ValueError):  # noqa: N818 - reads as what it is
    """More ranks than the cluster has cards."""


def placed(ran: RankProgram, cluster: Cluster) -> Program:
    """The same program, its collectives timed on the cluster; rank r is the cluster's card r.

    Raises ClusterTooSmall where there are more ranks than cards.
    """
    if ran.world_size > cluster.num_ranks:
        raise ClusterTooSmall(
            f"{ran.world_size:,} ranks need as many cards, and {cluster.title} has "
            f"{cluster.num_ranks:,}"
        )
    rate = share_bytes_per_s(cluster.node, ran.world_size)

    def at_home(call: Call) -> Call:
        if is_collective(call):
            return placed_call(call, ran.groups, ran.rank, cluster)
        return with_rate(call, rate) if is_on_host(call) else call

    calls = [at_home(call) for call in ran.program.calls]
    return replace(ran.program, calls=calls)


def placed_call(call: Call, groups: tuple[Group, ...], rank: int, cluster: Cluster) -> Call:
    """One collective of a rank with what it takes on the cluster."""
    place = place_of_call(call, groups, rank, cluster)
    taken = taken_by(call, place, cluster)
    arguments = {
        **call.arguments,
        "takes_ps": round(taken.seconds * PS_PER_S),
        "least_ps": round(least_s(call, place, cluster) * PS_PER_S),
        "crosses_nodes": place.nodes > 1,
    }
    return Call(call.op, arguments, call.outputs)


def taken_by(call: Call, place: Place, cluster: Cluster) -> CollectiveTime:
    """What a collective takes at a place, and what was chosen for it."""
    name = "send" if call.name == "recv" else call.name
    return time_collective(cluster, name, int_of(call, "size_bytes"), place)


def place_of_call(call: Call, groups: tuple[Group, ...], rank: int, cluster: Cluster) -> Place:
    """Where the ranks of a collective sit; a send's are its two ends."""
    group, cards = groups[int_of(call, "group")], cluster.cards_per_node
    if call.name in ("send", "recv"):
        peer = int_of(call, "peer")
        ends = (rank, peer if peer >= 0 else rank)
        if ends[0] // cards == ends[1] // cards:
            return Place(1, tuple(sorted({r % cards for r in ends})))
        apart = abs(ends[0] // cards - ends[1] // cards)
        return Place(2, (rank % cards,), siblings=_beside(group, cards), distance=apart)
    return _place(tuple(group.ranks), cards)


@lru_cache(maxsize=4096)
def _place(ranks: tuple[int, ...], cards: int) -> Place:
    return place_of(ranks, cards)


def _beside(group: Group, cards: int) -> int:
    """Cards of a node whose groups send at the same time: those that are not in this group."""
    node = group.ranks[0] // cards
    own = sum(rank // cards == node for rank in group.ranks)
    return max(1, cards // max(1, own))


def least_s(call: Call, place: Place, cluster: Cluster) -> float:
    """The time that a collective's bytes need on a card's links at their printed rate.

    n ranks: 2(n-1)/n of an all-reduce's buffer passes each card's links, (n-1)/n of a gather's,
    scatter's or all-to-all's; a broadcast, reduce or send passes whole.
    """
    n = place.size
    share = {"all_reduce": 2 * (n - 1) / n, "barrier": 0.0}.get(call.name, (n - 1) / n)
    if call.name in ("send", "recv", "broadcast", "reduce"):
        share = 1.0 if n > 1 else 0.0
    link = cluster.card.link
    rate = float(link.bytes_per_s) / 2 if link is not None else float(cluster.card.host_bytes_per_s)
    return share * int_of(call, "size_bytes") / rate
