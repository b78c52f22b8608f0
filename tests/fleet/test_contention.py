"""Collectives that meet share wires; one alone takes what it takes."""

from __future__ import annotations

import pytest

from suiren.fleet.collective import COLLECTIVES, time_collective
from suiren.fleet.contention import time_together
from suiren.fleet.place import Place
from suiren.hw.find_cluster import cluster_of

WHOLE = Place(1, tuple(range(8)))
LEFT, RIGHT = Place(1, (0, 1, 2, 3)), Place(1, (4, 5, 6, 7))


@pytest.mark.parametrize("op", COLLECTIVES)
@pytest.mark.parametrize("name", ["t21x8", "hgx-h100", "hgx-h100*16", "t20x8*4"])
def test_one_alone_ends_when_time_collective_says(name: str, op: str) -> None:
    cluster = cluster_of(name)
    place = Place(1, (0, 3)) if op == "send" else Place(cluster.num_nodes, tuple(range(8)))
    for size_bytes in (1e4, 1e7, 1e9):
        alone = time_collective(cluster, op, size_bytes, place).seconds
        (end,) = time_together(cluster, [(op, size_bytes, place, 0.5)])
        assert end - 0.5 == pytest.approx(alone)


def test_groups_that_do_not_meet_do_not_disturb() -> None:
    cluster = cluster_of("t21x8")
    alone = time_collective(cluster, "all_reduce", 1e8, LEFT).seconds
    ends = time_together(cluster, [("all_reduce", 1e8, LEFT, 0), ("all_reduce", 1e8, RIGHT, 0)])
    assert ends == pytest.approx([alone, alone])


def test_groups_that_meet_take_turns() -> None:
    cluster = cluster_of("t21x8")
    alone = time_collective(cluster, "all_reduce", 1e9, WHOLE).seconds
    both = time_together(cluster, [("all_reduce", 1e9, WHOLE, 0), ("all_reduce", 1e9, WHOLE, 0)])
    assert both == pytest.approx([2 * alone, 2 * alone], rel=0.02)


def test_a_late_one_delays_an_early_one_by_no_more_than_itself() -> None:
    cluster = cluster_of("dgx-a100")
    first = time_collective(cluster, "all_reduce", 1e9, WHOLE).seconds
    second = time_collective(cluster, "all_gather", 1e8, WHOLE).seconds
    start = first / 2
    ends = time_together(
        cluster, [("all_reduce", 1e9, WHOLE, 0.0), ("all_gather", 1e8, WHOLE, start)]
    )
    assert first < ends[0] <= first + second
    assert start + second < ends[1] <= start + 2 * second


def test_nics_are_shared_between_a_gather_and_an_all_reduce() -> None:
    cluster = cluster_of("hgx-h100*16")
    data, model = Place(16, (0,), siblings=8), Place(16, tuple(range(8)))
    alone = time_collective(cluster, "all_gather", 1e9, data).seconds
    ends = time_together(cluster, [("all_gather", 1e9, data, 0), ("all_reduce", 1e9, model, 0)])
    assert ends[0] > alone
    assert max(ends) <= alone + time_collective(cluster, "all_reduce", 1e9, model).seconds


def test_nobody_is_nothing() -> None:
    cluster = cluster_of("t21x8")
    assert time_together(cluster, []) == []
    assert time_together(cluster, [("all_reduce", 1e9, Place(1, (2,)), 3.0)]) == [3.0]
    with pytest.raises(ValueError, match="torus"):
        time_together(cluster_of("tpu-v4-pod"), [])
