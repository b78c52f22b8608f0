"""Halving and trees alone: as many bytes as a ring, fewer hops; what two nodes really send."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import pytest

from suiren.fleet.algorithms import ALGORITHMS, OF_MPI, halving, ring, switch, tree
from suiren.fleet.choose import candidates
from suiren.fleet.fold import Fold, fold
from suiren.fleet.phases import Phase, carriers, price
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster
from suiren.hw.fact import assumed
from suiren.hw.find_cluster import cluster_of
from suiren.units import GiB, KiB


def group(nodes: int, local: tuple[int, ...] = (0,)) -> Fold:
    return fold(cluster_of("t21x8*64"), Place(nodes, local))


def sent(phases: tuple[Phase, ...]) -> float:
    """Bytes that a node's cards send, all steps."""
    return sum(flow.size_bytes * phase.steps for phase in phases for flow in phase.flows)


@pytest.mark.parametrize("nodes", [2, 4, 8, 32])
def test_a_rank_sends_as_much_as_on_a_ring_in_twice_the_logarithm_of_hops(nodes: int) -> None:
    halves = halving.phases(group(nodes), "all_reduce", GiB)
    assert sent(halves) == pytest.approx(sent(ring.phases(group(nodes), "all_reduce", GiB)))
    assert sum(phase.between for phase in halves) == 2 * log2(nodes)


def test_far_partners_exchange_most_and_share_the_upper_switches() -> None:
    whole = replace(cluster_of("t21x8*64"), nodes_per_leaf=None)
    narrow = replace(whole, nodes_per_leaf=assumed(8, "a test's"),
                     oversubscription=assumed(2, "a test's"))  # fmt: skip

    def seconds(cluster: Cluster, nodes: int) -> float:
        folded = fold(cluster, Place(nodes, (0,), siblings=8))
        parts = halving.phases(folded, "all_reduce", GiB)
        return price(parts, folded, carriers(folded, ""), "simple").seconds

    assert seconds(narrow, 8) == seconds(whole, 8)
    far = halving.phases(fold(narrow, Place(16, (0,))), "all_reduce", GiB)
    assert [phase.flows[0].size_bytes for phase in far] == [GiB, 2 * GiB * 7 / 16]
    slowed = seconds(narrow, 16) / seconds(whole, 16)
    assert slowed == pytest.approx((2 + 7 / 8) / (15 / 8), rel=0.01)


@pytest.mark.parametrize(("nodes", "local"), [(3, (0,)), (4, (0, 1)), (1, (0, 1, 2, 3))])
def test_other_groups_go_round_a_ring(nodes: int, local: tuple[int, ...]) -> None:
    asked = group(nodes, local), "all_reduce", float(GiB)
    assert halving.phases(*asked) == ring.phases(*asked)


def test_small_sums_are_sooner_done_and_large_ones_alike() -> None:
    folded = group(32)
    how = carriers(folded, "")
    took = {(name, size): price(ALGORITHMS[name](folded, "all_reduce", size), folded, how,
                                "simple").seconds
            for name in ("halving", "ring") for size in (64 * KiB, GiB)}  # fmt: skip
    assert took["halving", 64 * KiB] < took["ring", 64 * KiB] / 3
    assert took["halving", GiB] == pytest.approx(took["ring", GiB], rel=0.05)


@pytest.mark.parametrize("library", ["NCCL", "ECCL", "RCCL", "HCCL"])
def test_no_library_of_cards_takes_what_is_mpis(library: str) -> None:
    assert not OF_MPI & {a for a, _ in candidates(group(4), "all_reduce", library)}


@pytest.mark.parametrize(("nodes", "share"), [(2, 0.5), (3, 0.75), (4, 1.0), (64, 1.0)])
def test_a_tree_of_few_nodes_sends_less_than_libraries_count_on(nodes: int, share: float) -> None:
    folded = group(nodes)
    counted = sent(tree.phases(folded, "all_reduce", GiB))
    real = sent(tree.phases(folded, "all_reduce", GiB, switch.busiest_share(nodes)))
    assert real / counted == pytest.approx(share)
    assert counted == pytest.approx(2 * GiB)
    assert real >= 2 * GiB * (nodes - 1) / nodes


def test_over_pcie_a_ring_meets_near_and_far_cards() -> None:
    box = cluster_of("l40s-x8")
    hop_s = {n: carriers(fold(box, Place(1, tuple(range(n)))), "NCCL").hop_inside_s
             for n in (2, 4, 8)}  # fmt: skip
    far_s = fold(box, Place(1, tuple(range(8)))).inside_s(0, 7)
    assert hop_s[2] == hop_s[4] < hop_s[8] < far_s
    assert hop_s[8] == pytest.approx((6 * hop_s[2] + 2 * far_s) / 8)
