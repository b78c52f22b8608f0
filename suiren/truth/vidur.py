"""Vidur's boxes and how it timed them: fit rows tell what the table leaves open.

It times NCCL's kernel of rank 0 in a PyTorch profile: the median of eleven calls that follow each
other, the mean of three such (vidur/profiling/collectives). Host and launch are outside; a rank
that comes early waits inside its kernel, and short calls wait for the slower host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from math import log2

from suiren.hw.catalog import NODES, nccl, shapes
from suiren.hw.catalog.node import BOXES
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact, assumed, fitted
from suiren.hw.spec import Card, Node
from suiren.hw.topology import Topology
from suiren.hw.wiring import Wiring
from suiren.truth.added import Added, Sender
from suiren.truth.rows import Row
from suiren.units import GB, KiB, MiB, us

_ROWS = "fit rows of kernel_vidur"
#: Box, NICs, GB/s of a NIC where one way is busy, and each way where both are: the DGX A100's
#: cards seem to reach their NICs through a memory that both ways share.
_BOXES: Mapping[str, tuple[str, float, float, float]] = {
    "a100_dgx": ("dgx-a100", 2, 8.3, 6.2), "h100_dgx": ("hgx-h100", 8, 37.5, 37.5),
    "a100_pairwise_nvlink": ("a100-pairs-x4", 1, 2.4, 2.4),
    "h100_pairwise_nvlink": ("h100-pairs-x4", 1, 2.4, 2.4),
}  # fmt: skip
_FAR_NICS = fitted(4.7 * GB, f"{_ROWS}, all_reduce on 16 cards of DGX A100")
_SENT = f"{_ROWS}, send_recv of bridged pairs"
#: In a pair; the bridge's printed 300 GB/s is passed as long as the buffers hold the message.
_IN_PAIR = Sender(
    fitted(2.4 * us, f"{_SENT}, 4 to 54 MiB"), fitted(335 * GB, f"{_SENT}, 4 to 54 MiB"),
    fitted(56 * MiB, f"{_SENT}, above 54 MiB"),
)  # fmt: skip
_FROM_PAIR = Sender(
    fitted(20 * us, f"{_SENT} between boxes, up to 1 MiB"),
    fitted(10 * GB, f"{_SENT} between boxes, up to 1 MiB"),
    fitted(2.4 * MiB, f"{_SENT} between boxes, 1 to 4 MiB"),
)
#: Between two boxes of DGX A100 that give four cards or more each, trees from here on.
_TREES_FROM = fitted(640 * KiB, f"{_ROWS}, all_reduce on 8 and 16 cards of DGX A100; bytes a rank")
_TREES_AMONG = 4
#: Between boxes that give two: where NCCL trusts a tree of simple messages this far.
_TREES_TRUSTED = assumed(
    0.8, "rows from 8 to 16 MiB take 0.6 of their neighbours' time: where NCCL's table says so"
)
_ALL_REDUCE: Mapping[str, Added] = {
    "a100_dgx": Added(48 * us, 10 * us), "h100_dgx": Added(32 * us),
    "a100_pairwise_nvlink": Added(64 * us, 13 * us), "h100_pairwise_nvlink": Added(18 * us),
}  # fmt: skip
_SEND_LEAST_S = fitted(10 * us, f"{_SENT}, up to 1 MiB")


def covers(row: Row) -> bool:
    """True for rows of one of Vidur's boxes."""
    return row.hardware in _BOXES


def cluster_for(row: Row) -> Cluster:
    """The boxes of a row, and the network between them that its kind of traffic meets."""
    return _cluster(row.hardware, row.op == "send_recv")


@cache
def _cluster(hardware: str, one_way: bool) -> Cluster:
    box, nics, alone, both = _BOXES[hardware]
    rows = f"{_ROWS}, send_recv and all_reduce between boxes of {box}"
    count, rate = fitted(nics, rows), fitted((alone if one_way else both) * GB, rows)
    node = _box(box, count, rate)
    return Cluster(name=f"vidur {hardware}{' one way' * one_way}", title=hardware, node=node,
                   num_nodes=4)  # fmt: skip


def _box(name: str, nics: Fact, rate: Fact) -> Node:
    node = NODES[name]
    topology = BOXES[name].topology(node.card, int(node.num_cards), nics, rate)
    if name == "dgx-a100":
        topology = _nics_under_one_cpu(node.card, int(nics), rate)
    return replace(node, name=f"vidur-{name}", nics=nics, nic_bytes_per_s=rate, topology=topology)


def _nics_under_one_cpu(card: Card, nics: int, rate: Fact) -> Topology:
    """A DGX A100 whose NICs hang under the first CPU; far cards come through the CPU link.

    Four cards a box move twice what two do, eight move less than four.
    """
    wiring = Wiring()
    cards = wiring.add("card", 8)
    shapes.switched(wiring, cards, card)
    medium, _ = shapes.host_medium(card)
    switches = wiring.host(cards, medium, card.host_bytes_per_s, per_switch=2, socket=_FAR_NICS)
    wiring.nics(switches[:nics], nics, rate)
    return wiring.done("its network is nowhere told: NICs as its rows behave")


def added_to(row: Row, size_bytes: float) -> Added:
    """What Vidur's way of timing adds to a collective of this size."""
    if row.op != "send_recv":
        found = _ALL_REDUCE.get(row.hardware, Added())
        return replace(found, trees=row.hardware == "a100_dgx" and _trees(row, size_bytes))
    if not row.hardware.endswith("_pairwise_nvlink"):
        return Added()
    if row.shape.get("devices_per_node") == row.shape.get("n"):
        return Added(_SEND_LEAST_S, sender=_IN_PAIR)
    return Added(sender=_FROM_PAIR)


def _trees(row: Row, size_bytes: float) -> bool:
    """Whether the boxes were joined by trees."""
    n, inner = row.size("n"), row.size("devices_per_node", "n")
    if n != 2 * inner or inner < 2:
        return False
    if inner >= _TREES_AMONG:
        return size_bytes / n >= _TREES_FROM
    shares = nccl.TREE_SHARE["simple"]
    power = min(len(shares) - 1, int(log2(max(1, size_bytes / 64))))
    return size_bytes >= 2 * MiB and shares[power] >= _TREES_TRUSTED
