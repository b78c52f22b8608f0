"""Which machine a table of collectives was measured on: boxes, networks, what the host added.

A table names cards, seldom the network between the boxes; where it does not, what its own `fit`
rows tell stands here, as a fact of that machine and of no chip.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from suiren.hw.catalog import NODES, shapes
from suiren.hw.catalog.node import BOXES
from suiren.hw.cluster import Cluster
from suiren.hw.default_node import node_for
from suiren.hw.fact import Fact, assumed, fitted
from suiren.hw.find_cluster import cluster_of
from suiren.hw.spec import Card
from suiren.hw.wiring import PCIE_S, SOCKET_S, Wiring
from suiren.truth import vidur
from suiren.truth.added import Added
from suiren.truth.rows import Row
from suiren.units import GB, us

_AIC = "fit rows of kernel_aic_collectives of L40S"


#: Tables that print a name of a machine, not of a card: what the text begins with.
_NAMED: Mapping[str, tuple[str, int]] = {
    "A100 4 nodes": ("a100-4-hdr*4", 32),
    "8x A100 node": ("dgx-a100", 8),
    "64x H100": ("hgx-h100*8", 64),
}
#: The nccl-tests runs of a table's machine: its host was slower than the fitted one's.
_NAMED_ADDED = {"8x A100 node": Added(43 * us, 15 * us)}
#: DeepBench: eight cards a box, its network not told.
_DEEPBENCH = "fit rows of kernel_deepbench"
_DEEPBENCH_NICS: Fact = fitted(1, f"{_DEEPBENCH}, 16 and 32 cards; its network is not told")
_DEEPBENCH_RATE: Fact = fitted(5.8 * GB, f"{_DEEPBENCH}, 16 Titan X (Pascal); FDR InfiniBand, 6.8")
_DEEPBENCH_CPUS: Fact = fitted(12.9 * GB, f"{_DEEPBENCH}, eight cards of Pascal")
_OMNI_PATH: Fact = fitted(13.2 * GB, f"{_DEEPBENCH}, 8 nodes; a port of Omni-Path has 12.5")
#: What slows sums from 8 to 16 nodes: the uplinks of a switch, it is taken.
_OMNI_LEAF: Fact = assumed(8, f"{_DEEPBENCH}: 8 nodes are not slowed by others, 16 are")
_OMNI_OVER: Fact = fitted(1.9, f"{_DEEPBENCH}, 16 nodes")
#: Maxwell cards read each other at half the rate of the slot.
_MAXWELL_NIC: Fact = fitted(4.3 * GB, f"{_DEEPBENCH}, 16 and 32 Titan X (Maxwell)")
_MAXWELL: Fact = fitted(9.0 * GB, f"{_DEEPBENCH}, two cards of Titan X (Maxwell)")


def machine_of(row: Row, card: Card, size_bytes: float = 0.0) -> tuple[Cluster, Added]:
    """The cluster a row was measured on, and what its measurement adds to so many bytes."""
    if vidur.covers(row):
        return vidur.cluster_for(row), vidur.added_to(row, size_bytes)
    for beginning, (name, _) in _NAMED.items():
        if row.hardware.lstrip('"').startswith(beginning):
            return cluster_of(name), _NAMED_ADDED.get(beginning, Added())
    alike = "aiconfigurator" in row.source and "/sglang/0.5.12" not in row.source
    if card.name == "l40s" and "aiconfigurator" in row.source and not alike:
        return _ordinary_l40s(), Added()
    if card.name == "l40s" and alike:
        return _l40s(", engines" if "custom" in row.op.lower() else ""), Added()
    if "DeepBench" in row.source:
        return _deepbench(card.name), Added()
    return _alone(card.name) or _of(card), Added()


@cache
def _l40s(whose: str) -> Cluster:
    """The L40S server of aiconfigurator's tables, all but one of which come from it.

    Its cards reach each other well in pairs only: what leaves a pair goes through CPUs that pass
    it on slowly. SGLang 0.5.12 was measured on another one, an ordinary server.
    """
    node, wiring = NODES["l40s-x8"], Wiring()
    cards, cpus, switches = (wiring.add("card", 8), wiring.add("cpu", 2), wiring.add("pcie", 4))
    medium, _ = shapes.host_medium(node.card)
    across = fitted(3.94 * GB, f"{_AIC}, alltoall on eight cards")
    wiring.join(cpus[0], cpus[1], f"CPU link between slow CPUs{whose}", across, SOCKET_S)
    up = fitted(8.83 * GB, f"{_AIC}, alltoall on four cards")
    for number, card in enumerate(cards):
        wiring.join(card, switches[number // 2], medium, node.card.host_bytes_per_s, PCIE_S)
    for number, switch in enumerate(switches):
        wiring.join(switch, cpus[number // 2], f"CPU link to slow peers{whose}", up, PCIE_S)
    node = replace(node, name=f"l40s of aiconfigurator{whose}", topology=wiring.done(), nics=None,
                   nic_bytes_per_s=None)  # fmt: skip
    return Cluster(name=node.name, title=node.title, node=node, num_nodes=1)


@cache
def _ordinary_l40s() -> Cluster:
    """The server of SGLang 0.5.12's rows: eight cards keep the rate of four."""
    node = NODES["l40s-x8"]
    link = fitted(32 * GB, f"{_AIC}, eight cards under SGLang 0.5.12: no bound")
    topology = BOXES[node.name].topology(node.card, 8, 0, None, link)
    node = replace(node, name="l40s of SGLang 0.5.12", topology=topology, nics=None,
                   nic_bytes_per_s=None)  # fmt: skip
    return Cluster(name=node.name, title=node.title, node=node, num_nodes=1)


@cache
def _alone(card: str) -> Cluster | None:
    if card in ("gb200", "gb300"):
        return cluster_of(f"{card}-rack*64")
    found = next((n for n in NODES.values() if n.card.name == card), None)
    return None if found is None else cluster_of(f"{found.name}*64")


def _of(card: Card) -> Cluster:
    node = node_for(card)
    return Cluster(name=f"{node.name}*64", title=node.title, node=node, num_nodes=64)


@cache
def _deepbench(card: str) -> Cluster:
    from suiren.hw.catalog import CARDS

    node, boxed = node_for(CARDS[card]), CARDS[card]
    rate = _OMNI_PATH if card == "knl7250" else _DEEPBENCH_RATE
    if card in ("m40", "titan-x"):
        boxed, rate = replace(boxed, host_bytes_per_s=_MAXWELL), _MAXWELL_NIC
    topology = BOXES["l40s-x8"].topology(boxed, 8, _DEEPBENCH_NICS, rate, _DEEPBENCH_CPUS)
    node = replace(node, topology=topology, nics=_DEEPBENCH_NICS, nic_bytes_per_s=rate)
    whole = Cluster(name=f"deepbench {card}", title=node.title, node=node, num_nodes=64)
    if card == "knl7250":
        return replace(whole, nodes_per_leaf=_OMNI_LEAF, oversubscription=_OMNI_OVER)
    return whole
