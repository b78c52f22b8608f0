"""From what a user types to a cluster: `t21x8`, `t21x8*128`, `selene`, `t21`, `./mine.toml`."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path

from suiren.hw.catalog import CARDS, NODES
from suiren.hw.catalog.cluster import BY_NAME
from suiren.hw.cluster import Cluster
from suiren.hw.clusterfile import load_cluster
from suiren.hw.default_node import node_for
from suiren.hw.fact import Fact, assumed
from suiren.hw.names import UnknownChip, find_card
from suiren.hw.spec import Node

_TIMES = re.compile(r"\s*[*×]\s*(\d+)\s*$")
#: Nodes below a leaf where a user only names a node: eight NICs a node, 64 ports a leaf.
_LEAF = assumed(4, "a leaf of 64 ports serves eight NICs of four nodes, half of its ports go up")


class UnknownCluster(ValueError):  # noqa: N818 - reads as what it is
    """No cluster, node or card has this name, or it is too small; one sentence says so."""


def cluster_of(name_or_node_or_card: str, num_ranks: int | None = None) -> Cluster:
    """The cluster that a text means, cut or grown to `num_ranks` cards.

    A named cluster, a node, a card (in its usual box), `NODE*COUNT`, or a file. A node grows to
    as many nodes as the ranks need; a named cluster is only cut. Raises UnknownCluster with the
    nearest names, and BadClusterFile for a file.
    """
    text = name_or_node_or_card.strip()
    if num_ranks is not None and num_ranks < 1:
        raise UnknownCluster(f"a cluster of {num_ranks} ranks is none; 1 is the least")
    if text.endswith((".toml", ".py")) or Path(text).is_file():
        return _sized(load_cluster(text), num_ranks, grows=False)
    return _resolved(text, num_ranks)


@lru_cache(maxsize=1024)
def _resolved(text: str, num_ranks: int | None) -> Cluster:
    times = _TIMES.search(text)
    name = _TIMES.sub("", text)
    named = BY_NAME.get(_squash(name)) or _by_spelling().get(_squash(name))
    if named is not None and times is None:
        return _sized(named, num_ranks, grows=False)
    node = named.node if named is not None else _node(name)
    one = _of_nodes(node, int(times[1]) if times else 1)
    return _sized(one, num_ranks, grows=times is None)


def find_node(name: str) -> Node:
    """The node of a name, an alias, or a card in its usual box; raises UnknownCluster."""
    return _node(name)


def _node(name: str) -> Node:
    node = _nodes().get(_squash(name))
    if node is not None:
        return node
    try:
        return node_for(find_card(name))
    except UnknownChip:
        usual = re.fullmatch(r"(.+?)[\s_-]*x[\s_-]*(\d+)", name.strip().lower())
        if usual and int(usual[2]) > 0:
            found = _usual(usual[1])
            if found is not None and int(found.num_cards) == int(usual[2]):
                return found
        raise UnknownCluster(_nearest(name)) from None


def _usual(card: str) -> Node | None:
    try:
        return node_for(find_card(card))
    except UnknownChip:
        return None


def _of_nodes(node: Node, count: int) -> Cluster:
    rack = NODES.get(node.name.replace("-nvl72", "-rack"))
    if count > 1 and rack is not None and rack is not node:
        # more than one tray is a rack, or as many as the trays fill
        node, count = rack, -(-count * int(node.num_cards) // int(rack.num_cards))
    if count < 1:
        raise UnknownCluster(f"{node.name}*{count} has no node; 1 is the least")
    name = node.name if count == 1 else f"{node.name}*{count}"
    title = node.title if count == 1 else f"{count} × {node.title}"
    leaf: Fact | None = _LEAF if count > 1 else None
    return Cluster(name=name, title=title, node=node, num_nodes=count, nodes_per_leaf=leaf)


def _sized(cluster: Cluster, num_ranks: int | None, *, grows: bool) -> Cluster:
    """The cluster with just the nodes that `num_ranks` cards need."""
    if num_ranks is None or num_ranks == cluster.num_ranks:
        return cluster
    nodes = -(-num_ranks // cluster.cards_per_node)
    if nodes > cluster.num_nodes and not grows:
        raise UnknownCluster(
            f"{cluster.name} has {cluster.num_ranks:,} cards, not {num_ranks:,}; "
            f"write {cluster.node.name}*{nodes} for as many nodes"
        )
    if grows:
        return _of_nodes(cluster.node, nodes)
    return _cut(cluster, nodes)


def _cut(cluster: Cluster, nodes: int) -> Cluster:
    if nodes == cluster.num_nodes:
        return cluster
    sides = _slice(cluster.torus, nodes * cluster.cards_per_node)
    return replace(cluster, name=f"{cluster.name}[{nodes}]", num_nodes=nodes, torus=sides)


def _slice(sides: tuple[int, ...], cards: int) -> tuple[int, ...]:
    """A slice of a torus: whole sides first, then what is left of the next one."""
    found = []
    for side in sides:
        part = min(side, cards)
        while cards % part:
            part -= 1
        found.append(part)
        cards //= part
    return tuple(found)


def _squash(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


@cache
def _by_spelling() -> dict[str, Cluster]:
    return {_squash(name): cluster for name, cluster in BY_NAME.items()}


@cache
def _nodes() -> dict[str, Node]:
    found = {_squash(node.name): node for node in NODES.values()}
    for cluster in BY_NAME.values():
        found.setdefault(_squash(cluster.node.name), cluster.node)
    for node in NODES.values():
        for alias in node.aliases:
            found.setdefault(_squash(alias), node)
    return found


def _nearest(name: str) -> str:
    """One sentence with the nearest names of clusters, nodes and cards."""
    known = {_squash(n): n for n in (*BY_NAME, *NODES, *CARDS)}
    near = get_close_matches(_squash(name), list(known), n=3, cutoff=0.4)
    if near:
        names = ", ".join(dict.fromkeys(known[n] for n in near))
        return f"no cluster, node or card is called {name!r}; the nearest names are {names}"
    return (f"no cluster, node or card is called {name!r}; `suiren topology` lists nodes and "
            "clusters, `suiren chips` the cards")  # fmt: skip
