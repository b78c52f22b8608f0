"""From what a user types to a cluster, and a user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from suiren.hw.catalog.cluster import CLUSTERS
from suiren.hw.clusterfile import BadClusterFile, load_cluster
from suiren.hw.find_cluster import UnknownCluster, cluster_of
from suiren.hw.route import bisection_bytes_per_s
from suiren.hw.wiring import topology_of
from suiren.units import GB

MINE = """
name = "bench"
nodes = 4
nodes_per_leaf = 2
oversubscription = { value = 2, source = "the switch's sheet", kind = "published" }

[node]
card = "t21"
cards = 4
shape = "mesh"
medium = "ESL"
link_bytes_per_s = 25e9
nics = 2
nic_bytes_per_s = 25e9
"""
GRAPH = """
[node]
card = "t20"
cards = 3

[[wire]]
between = ["card0", "switch0"]
bytes_per_s = 1e11

[[wire]]
between = ["card1", "switch0"]
bytes_per_s = 1e11

[[wire]]
between = ["card2", "switch0"]
bytes_per_s = 5e10
latency_s = 2e-6
"""


@pytest.mark.parametrize(("text", "ranks", "nodes", "each"), [
    ("t21x8", None, 1, 8), ("T21 x8", None, 1, 8), ("t21", None, 1, 8), ("t21", 16, 2, 8),
    ("t21", 17, 3, 8), ("t21x8*128", None, 128, 8), ("t21x8 * 128", 64, 8, 8),
    ("selene", None, 560, 8), ("selene", 64, 8, 8), ("dgx-a100", None, 1, 8), ("A100", 4, 1, 8),
    ("l40sx8", None, 1, 8), ("gb200-rack*2", None, 2, 72), ("tpu-v4-pod", None, 1024, 4),
    ("tpu-v4", 64, 16, 4), ("tpu-v4-host*4", None, 4, 4), ("gb200", 8, 1, 72),
    ("gb200", 144, 2, 72),
    ("vtrain-a100", 512, 64, 8), ("matrix-2", None, 1024, 8), ("t10-160", None, 20, 8),
])  # fmt: skip
def test_names(text: str, ranks: int | None, nodes: int, each: int) -> None:
    cluster = cluster_of(text, ranks)
    assert (cluster.num_nodes, cluster.cards_per_node) == (nodes, each)
    assert cluster.num_ranks == nodes * each
    assert cluster_of(text, ranks) is cluster


@pytest.mark.parametrize(("text", "ranks", "said"), [
    ("t22x8", None, "nearest names are t21x8"),
    ("zzzz", None, "suiren topology"),
    ("selene", 100_000, "dgx-a100.12500"),
    ("t21x8*0", None, "no node"),
    ("t21", 0, "1 is the least"),
])  # fmt: skip
def test_what_is_not_found_is_told_in_one_sentence(text: str, ranks: int | None, said: str) -> None:
    with pytest.raises(UnknownCluster, match=said) as problem:
        cluster_of(text, ranks)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("cluster", CLUSTERS, ids=[c.name for c in CLUSTERS])
def test_named_clusters_hold_together(cluster) -> None:
    cards = 1
    for side in cluster.torus:
        cards *= side
    assert not cluster.torus or cards == cluster.num_ranks
    assert cluster.torus or cluster.node.nics is not None
    assert cluster.title


def test_a_slice_of_a_pod_is_a_smaller_torus() -> None:
    assert sorted(cluster_of("tpu-v4-pod", 512).torus) == [8, 8, 8]
    assert cluster_of("tpu-v4", 64).torus == (4, 4, 4)
    assert cluster_of("tpu-v5e", 128).torus == (8, 16)
    with pytest.raises(UnknownCluster, match="4,096 cards"):
        cluster_of("tpu-v4", 10_000)


def test_a_file_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(MINE)
    cluster = cluster_of(str(file))
    assert (cluster.name, cluster.num_ranks, cluster.node.card.name) == ("bench", 16, "t21")
    assert cluster.oversubscription is not None and cluster.oversubscription.kind == "published"
    assert cluster.nodes_per_leaf is not None and cluster.nodes_per_leaf.kind == "assumed"
    topology = topology_of(cluster.node)
    assert bisection_bytes_per_s(topology) == 4 * 25 * GB
    assert len(topology.of_kind("nic")) == 2


def test_a_graph_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "star.toml"
    file.write_text(GRAPH)
    topology = topology_of(load_cluster(file).node)
    assert topology.cards == ("card0", "card1", "card2")
    slow = next(w for w in topology.wires if w.start == "card2")
    assert (slow.bytes_per_s, slow.latency_s) == (5e10, 2e-6)
    assert bisection_bytes_per_s(topology) == 5e10


def test_a_file_in_python(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from dataclasses import replace\n"
                    "from suiren.hw.find_cluster import cluster_of\n"
                    "CLUSTER = replace(cluster_of('t20x8*4'), name='mine')\n")  # fmt: skip
    assert cluster_of(str(file)).name == "mine"
    assert cluster_of(str(file), 8).num_nodes == 1


@pytest.mark.parametrize(("change", "said"), [
    (('card = "t21"', 'card = "t99"'), "no chip is called 't99'"),
    (('card = "t21"', ""), "either based_on or card"),
    (('card = "t21"', 'card = "t21"\nbased_on = "t21x8"'), "either based_on or card"),
    (("cards = 4", ""), "cards is missing"),
    (("cards = 4", "cards = 0"), "node.cards is 0"),
    (("cards = 4", "cards = 100000"), "node.cards is 100000.*512"),
    (("nics = 2", "nics = 0"), "nodes is 4, and no node has a way out"),
    (('shape = "mesh"', 'shape = "star"'), "node.shape is 'star'"),
    (("link_bytes_per_s = 25e9", ""), "link_bytes_per_s is missing"),
    (("link_bytes_per_s = 25e9", "link_bytes_per_s = -1.0"), "must be above 0"),
    (("nic_bytes_per_s = 25e9", ""), "nic_bytes_per_s is missing"),
    (("nodes = 4", "nods = 4"), "nods is no field"),
    (("nodes = 4", "nodes = "), "it is not TOML"),
])  # fmt: skip
def test_a_faulty_file_is_told(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    file = tmp_path / "bench.toml"
    file.write_text(MINE.replace(*change, 1))
    with pytest.raises(BadClusterFile, match=said):
        load_cluster(file)


@pytest.mark.parametrize(("text", "said"), [
    (GRAPH.replace("card2", "box2"), "box2 is no vertex"),
    (GRAPH.replace("cards = 3", "cards = 4"), "name 3 cards"),
    (GRAPH.replace('"card2", "switch0"', '"card2", "switch1"'), "cannot reach"),
])  # fmt: skip
def test_a_faulty_graph_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "star.toml"
    file.write_text(text)
    with pytest.raises(BadClusterFile, match=said):
        load_cluster(file)


@pytest.mark.parametrize(("text", "said"), [
    ("CLUSTER = 3", "CLUSTER is int"), ("1 / 0", "ZeroDivisionError"), (None, "no such file"),
])  # fmt: skip
def test_a_faulty_python_file_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadClusterFile, match=said):
        cluster_of(str(file))
