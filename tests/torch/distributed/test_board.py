"""The board and the referee: who fits, who waits, who can never go on."""

from __future__ import annotations

import time

import pytest

from suiren.torch.distributed.board import NOWHERE, RING, Board, Channel
from suiren.torch.distributed.referee import STUCK_S, Referee

NOBODY = {}


def place(what, channel, turn, members, any_of_them=False):
    return {"what": what, "at": "train.py:7", "channel": channel, "turn": turn,
            "members": members, "any": any_of_them}  # fmt: skip


def test_the_later_one_sees_that_it_does_not_fit(tmp_path):
    first, second, third = (Channel(tmp_path, "0", 3) for _ in range(3))
    assert first.post(0, "all_reduce 16") == []
    assert second.post(1, "all_reduce 16") == []
    assert third.post(2, "all_reduce 20") == [0, 1]
    assert first.missing(0) == []


def test_meetings_are_told_apart_far_beyond_the_ring(tmp_path):
    ahead, behind = Channel(tmp_path, "0", 2), Channel(tmp_path, "0", 2)
    for turn in range(3 * RING):
        assert ahead.post(0, f"op {turn}") == []
        assert behind.missing(turn) == [1]
        assert behind.post(1, f"op {turn}") == []
        assert behind.missing(turn) == []


def test_channels_of_other_names_know_nothing_of_each_other(tmp_path):
    one, other = Channel(tmp_path, "a", 2), Channel(tmp_path, "b", 2)
    one.post(0, "x")
    assert other.missing(0) == [0, 1] and other.post(1, "y") == []


def test_a_rank_says_where_it_is_and_that_it_goes_on(tmp_path):
    board = Board(tmp_path, 2)
    assert board.read(1) == NOWHERE
    board.write(1, True, place("barrier", "0", 3, [0, 1]))
    seen = Board(tmp_path, 2).read(1)
    assert (seen.what, seen.at, seen.waits, seen.turn) == ("barrier", "train.py:7", True, 3)
    assert time.monotonic() - seen.since_s < 5
    board.goes_on(1)
    assert not board.read(1).waits and board.read(1).what == "barrier"


@pytest.fixture
def run(tmp_path):
    """A board, channels and a referee of three ranks."""
    board = Board(tmp_path, 3)

    def waits(rank, name, members, any_of_them=False):
        channel = Channel(tmp_path, name, len(members))
        if not any_of_them:
            channel.post(members.index(rank), "x")
        board.write(rank, True, place(f"op {name}", name, 0, members, any_of_them))

    return waits, Referee(tmp_path, 3)


def stuck(referee, ended=NOBODY):
    referee.stuck(ended)
    time.sleep(STUCK_S + 0.05)
    return referee.stuck(ended)


def test_who_waits_for_a_busy_rank_is_not_stuck(run):
    waits, referee = run
    waits(0, "a", [0, 1, 2])
    waits(1, "a", [0, 1, 2])
    assert stuck(referee) == []


def test_who_waits_for_a_rank_that_has_ended_is_stuck_and_so_is_who_waits_for_it(run):
    waits, referee = run
    waits(0, "a", [0, 2])
    waits(1, "b", [0, 1])
    assert stuck(referee) == []
    assert stuck(referee, {2: "finished"}) == [0, 1]


def test_a_circle_is_stuck(run):
    waits, referee = run
    waits(0, "a", [0, 1])
    waits(1, "b", [1, 2])
    assert stuck(referee) == []
    waits(2, "c", [2, 0])
    assert stuck(referee) == [0, 1, 2]


def test_one_sender_is_enough_for_who_takes_from_anyone(run):
    waits, referee = run
    waits(0, "any", [1, 2], any_of_them=True)
    assert stuck(referee, {1: "finished"}) == []
    assert stuck(referee, {1: "finished", 2: "raised"}) == [0]


def test_being_stuck_for_a_moment_is_not_told(run):
    waits, referee = run
    waits(0, "a", [0, 1])
    assert referee.stuck({1: "finished"}) == []


def test_ranks_that_do_the_same_are_named_together(run):
    waits, referee = run
    waits(0, "a", [0, 1, 2])
    waits(1, "a", [0, 1, 2])
    told = referee.tell([0, 1, 2], NOBODY, lambda rank: f"train.py:{rank}")
    assert told == (
        "ranks 0, 1 are in op a at train.py:7; "
        "rank 2 has been in Python for 0.0 s, now at train.py:2"
    )


def test_two_groups_of_the_same_ranks_are_told_apart(tmp_path):
    board, referee = Board(tmp_path, 2), Referee(tmp_path, 2)
    for rank, name in enumerate(("first", "second")):
        board.write(rank, True, place("all_reduce f32[4]", name, 0, [0, 1]))
    assert referee.tell([0, 1], NOBODY, str) == (
        "rank 0 is in all_reduce f32[4] at train.py:7; rank 1 is in all_reduce f32[4] at "
        "train.py:7, in another group of the same ranks"
    )
