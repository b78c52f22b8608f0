"""Whose group is whose: a mesh of ranks seen from one of them."""

import numpy as np
import pytest
from rank_programs import group, meet, ran

from suiren.fleet.ranks import Group
from suiren.fleet.walkers import Walked

MESH = np.arange(4 * 8 * 2).reshape(4, 8, 2)


def along(dim: int, rank: int) -> tuple[int, ...]:
    """The ranks of a mesh dimension through a rank."""
    place = list(np.unravel_index(rank, MESH.shape))
    place[dim] = slice(None)
    return tuple(MESH[tuple(place)].tolist())


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("like", [0, 21, 63])
def test_every_rank_finds_its_own_group_from_that_of_another(dim: int, like: int) -> None:
    facts = ran([(meet("all_reduce", 8), 0, 0)], [group(*along(dim, like))], (like,), 64)
    for rank in range(64):
        assert tuple(facts.groups[0].of(rank, like).ranks) == along(dim, rank)


def test_the_whole_world_is_everybodys_group() -> None:
    assert Group(range(64), 0).of(1, 63).ranks == range(64)


def test_a_neighbour_is_a_neighbour_around_a_ring() -> None:
    ring = along(1, 0)
    sends = ran([(meet("send", 8, peer=ring[1]), 0, 0)], [group(*ring)], (0,), 64)
    call = sends.program.calls[0]
    assert Walked(ring[3], sends).peer(call) == ring[4]
    assert Walked(ring[-1], sends).peer(call) == ring[0]
    assert Walked(1, sends).peer(call) == along(1, 1)[1]


def test_uneven_groups_move_with_the_rank() -> None:
    assert Group((0, 1, 5), 0).of(8, 0).ranks == (8, 9, 13)
