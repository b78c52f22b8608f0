"""Named clusters: published ones, and the reference designs vendors sell."""

from __future__ import annotations

from dataclasses import replace

from suiren.hw.catalog import NODES, shapes
from suiren.hw.catalog.shapes import Box
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact, assumed, derived, published
from suiren.hw.spec import Node
from suiren.units import GB

_SUPERPOD = "NVIDIA DGX SuperPOD reference architecture"
_RAIL = assumed(32, "a leaf of 64 ports serves one NIC of 32 nodes, the other half goes up")
_PLAIN = assumed(4, "a leaf of 64 ports serves eight NICs of four nodes")
_VTRAIN = "VIA-Research/vTrain@f8dda84: vTrainConfig, 800 Gbit/s a node"
_LAUNCH = "launch press of July 2021 (Leiphone, QbitAI): up to 8000-class"
_MATRIX = "fabric, NICs and nodes of CloudBlazer Matrix 2.0 are unpublished"


def _with_nics(node: Node, name: str, count: Fact, rate: Fact, box: Box) -> Node:
    return replace(
        node, name=name, nics=count, nic_bytes_per_s=rate, aliases=(),
        topology=box.topology(node.card, int(node.num_cards), count, rate),
    )  # fmt: skip


def _tpu_pod(card_name: str, title: str, sides: tuple[int, ...], source: str) -> Cluster:
    """A pod as hosts of four chips; the torus joins all of them."""
    node = NODES[f"{card_name}-host"]
    chips = 1
    for side in sides:
        chips *= side
    wide = " × ".join(map(str, sides))
    return Cluster(
        name=f"{card_name}-pod", title=title, node=node, num_nodes=chips // 4, fabric="torus",
        torus=sides, note=f"{wide}: {source}",
    )  # fmt: skip


_DGX_A100, _H100 = NODES["dgx-a100"], NODES["hgx-h100"]
_FOUR_HDR = _with_nics(
    _DGX_A100, "a100-4-hdr", published(4, _VTRAIN), published(25 * GB, _VTRAIN),
    Box(links=shapes.switched, per_switch=2),
)  # fmt: skip

CLUSTERS: tuple[Cluster, ...] = (
    Cluster(
        name="t10-160", title="160 × T10, 20 chassis (Hot Chips 33)", node=NODES["t10x8"],
        num_nodes=20, note="20 chassis of 8: servethehome.com/?p=55430; the fabric is unpublished",
    ),
    Cluster(
        name="matrix-2", title="CloudBlazer Matrix 2.0, 8192 × T21", node=NODES["t21x8"],
        num_nodes=1024, note=f"8192 cards: {_LAUNCH}; {_MATRIX}",
    ),
    Cluster(
        name="selene", title="NVIDIA Selene, 560 × DGX A100", node=_DGX_A100, num_nodes=560,
        fabric="rail-optimised", nodes_per_leaf=published(20, f"{_SUPERPOD}: units of 20 nodes"),
        note="4480 A100: NVIDIA, 2020 and TOP500; eight HDR NICs a node for compute",
    ),
    Cluster(
        name="superpod-a100", title="DGX SuperPOD, 140 × DGX A100", node=_DGX_A100, num_nodes=140,
        fabric="rail-optimised", nodes_per_leaf=published(20, f"{_SUPERPOD}: units of 20 nodes"),
    ),
    Cluster(
        name="superpod-h100", title="DGX SuperPOD, 127 × DGX H100", node=_H100, num_nodes=127,
        fabric="rail-optimised", nodes_per_leaf=published(32, f"{_SUPERPOD}: units of 32 nodes"),
    ),
    Cluster(
        name="eos", title="NVIDIA Eos, 576 × DGX H100", node=_H100, num_nodes=576,
        fabric="rail-optimised", nodes_per_leaf=published(32, f"{_SUPERPOD}: units of 32 nodes"),
    ),
    Cluster(
        name="vtrain-a100", title="64 × 8 A100, four HDR NICs a node (vTrain)", node=_FOUR_HDR,
        num_nodes=64, fabric="fat-tree", nodes_per_leaf=derived(
            8, f"{_VTRAIN}; leaves of 64 ports taken, four NICs a node, half of them up"
        ), note="the cluster of vTrain (MICRO-57); its switches are unpublished",
    ),
    Cluster(
        name="llama3-16k", title="Llama 3's 16,384 × H100", node=_H100, num_nodes=2048,
        fabric="fat-tree", nodes_per_leaf=published(
            384, "The Llama 3 Herd of Models, 2024: pods of 3072 GPUs at full bisection"
        ), oversubscription=published(7, "The Llama 3 Herd of Models, 2024: 1:7 above a pod"),
    ),
    Cluster(
        name="ascend-8k", title="1024 × Atlas 800T A2", node=NODES["atlas-910b-x8"],
        num_nodes=1024, fabric="fat-tree", nodes_per_leaf=_PLAIN,
        note="a plain fat tree is taken; published runs reach 7968 cards",
    ),
    Cluster(
        name="mi300x-1k", title="128 × 8 MI300X", node=NODES["mi300x-x8"], num_nodes=128,
        fabric="rail-optimised", nodes_per_leaf=_RAIL, note="a usual size; nobody's cluster",
    ),
    _tpu_pod("tpu-v2", "TPU v2 pod", (16, 16), "cloud.google.com/tpu/docs: 16 × 16"),
    _tpu_pod("tpu-v3", "TPU v3 pod", (32, 32), "cloud.google.com/tpu/docs: 32 × 32"),
    _tpu_pod("tpu-v4", "TPU v4 pod", (16, 16, 16), "TPU v4, ISCA 2023: 4096 chips"),
    _tpu_pod("tpu-v5e", "TPU v5e pod", (16, 16), "cloud.google.com/tpu/docs/v5e: 256 chips"),
    _tpu_pod("tpu-v5p", "TPU v5p pod", (16, 20, 28), "cloud.google.com/tpu/docs/v5p: 8960 chips"),
    _tpu_pod("tpu-v6e", "TPU v6e pod", (16, 16), "cloud.google.com/tpu/docs/v6e: 256 chips"),
    _tpu_pod("tpu-v7", "TPU v7 pod", (16, 24, 24), "cloud.google.com/tpu: 9216 chips; sides taken"),
)  # fmt: skip
#: By name.
BY_NAME: dict[str, Cluster] = {cluster.name: cluster for cluster in CLUSTERS}
