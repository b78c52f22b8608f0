"""Ranks that meet: who waits for whom, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rank_programs import group, meet, mm, ran

from suiren.fleet.placed import ClusterTooSmall, placed, placed_call
from suiren.fleet.ranks import RankProgram, int_of
from suiren.fleet.together import RanksPart, Together, together
from suiren.fleet.walkers import walked_ranks
from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.mapper.step import Prices, steady_step
from suiren.trace.program import Kind

T21X8 = Cluster(
    name="t21x8", title="8 × T21", node=next(n for n in NODES if n.name == "t21x8"), num_nodes=1
)
BESIDE = 0x4000


def simulate(*classes: RankProgram) -> Together:
    return together(classes, T21X8, lambda program: Prices(program.calls, T21X8.card))


def takes_ps(one: RankProgram, call: int) -> int:
    return int_of(placed(one, T21X8).calls[call], "takes_ps")


ops = st.lists(
    st.tuples(st.sampled_from([16, 512, 4096]), st.sampled_from([0, 0, 0, 3])), max_size=12
)


@settings(max_examples=40, deadline=None)
@given(ops, st.integers(0, 2))
def test_a_rank_alone_takes_what_the_queues_of_one_card_say(
    asked: list[tuple[int, int]], marks: int
) -> None:
    rows = [(mm(m), stream, 0) for m, stream in asked]
    for n in range(marks):
        rows.insert(len(rows) // 2, (Kind.WAIT, 3, n))  # type: ignore[arg-type]
        rows.insert(len(rows) // 2, (Kind.RECORD, 0, n))  # type: ignore[arg-type]
    one = ran(rows, [group(0)])
    alone = steady_step(one.program, Prices(one.program.calls, T21X8.card), 0).period_ps
    assert simulate(one).period_ps == alone


def test_equal_ranks_take_their_work_and_the_collective() -> None:
    def rank(r: int) -> RankProgram:
        rows = [(mm(8192), 0, 0), (meet("all_reduce", 1 << 20), 0, 0)]
        return ran(rows, [group(0, 1)], (r,), 2)

    both = simulate(rank(0), rank(1))
    one = ran([(mm(8192), 0, 0)], [group(0)])
    assert both.period_ps == simulate(one).period_ps + takes_ps(rank(0), 1)


def test_the_fast_rank_waits_for_the_slow_one() -> None:
    def rank(r: int, size: int) -> RankProgram:
        rows = [(mm(size), 0, 0), (meet("all_reduce", 1 << 20), 0, 0)]
        return ran(rows, [group(0, 1)], (r,), 2)

    found = simulate(rank(0, 512), rank(1, 16384))
    waits = [s for s in found.times[0].spans if s.why == "peer"]
    assert sum(s.duration_ps for s in waits) > 0
    assert not [s for s in found.times[1].spans if s.why == "peer"]
    slow = simulate(ran([(mm(16384), 0, 0)], [group(0)])).period_ps
    assert found.period_ps == slow + takes_ps(rank(0, 512), 1)


def test_a_collective_beside_the_work_is_hidden_by_it() -> None:
    def rank(r: int, beside: bool) -> RankProgram:
        stream = BESIDE if beside else 0
        rows = [
            (mm(16384), 0, 0), (Kind.RECORD, 0, 1), (Kind.WAIT, stream, 1),
            (meet("all_reduce", 1 << 18), stream, 0), (Kind.RECORD, stream, 2),
            (mm(16384), 0, 0), (Kind.WAIT, 0, 2), (mm(16), 0, 0),
        ]  # fmt: skip
        return ran(rows, [group(0, 1)], (r,), 2)  # type: ignore[arg-type]

    hidden = simulate(rank(0, True), rank(1, True))
    exposed = simulate(rank(0, False), rank(1, False))
    assert exposed.period_ps == hidden.period_ps + takes_ps(rank(0, True), 1)


def pipeline(stages: int, micro_batches: int, size: int = 4096) -> list[RankProgram]:
    """Forward only: every stage receives, works and sends."""
    classes = []
    everyone = group(*range(stages))
    for stage in range(stages):
        rows: list[tuple[object, int, int]] = []
        for n in range(micro_batches):
            if stage:
                rows += [
                    (meet("recv", 1 << 20, peer=stage - 1), 0x6000, 0),
                    (Kind.RECORD, 0x6000, n), (Kind.WAIT, 0, n),
                ]  # fmt: skip
            rows.append((mm(size), 0, 0))
            if stage < stages - 1:
                rows += [
                    (Kind.RECORD, 0, 100 + n), (Kind.WAIT, 0x5000, 100 + n),
                    (meet("send", 1 << 20, peer=stage + 1), 0x5000, 0),
                ]  # fmt: skip
        classes.append(ran(rows, [everyone], (stage,), stages))  # type: ignore[arg-type]
    return classes


def test_a_pipeline_fills_and_drains() -> None:
    """A send ends when it is received; steady steps of a forward pipeline follow each other."""
    one = simulate(ran([(mm(4096), 0, 0)] * 8, [group(0)])).period_ps
    four = simulate(*pipeline(4, 8))
    assert four.period_ps >= one
    assert set(four.times) == {0, 1, 2, 3}
    first, last = four.times[0], four.times[3]
    assert min(s.start_ps for s in last.spans if s.why == "matrix") > min(
        s.start_ps for s in first.spans if s.why == "matrix"
    )


def test_ranks_that_do_the_same_are_walked_once() -> None:
    rows = [(mm(4096), 0, 0), (meet("all_reduce", 1 << 20), 0, 0)]
    folded = ran(rows, [group(*range(8))], tuple(range(8)), 8)
    assert [w.rank for w in walked_ranks([folded])] == [0]
    apart = [ran(rows, [group(*range(8))], (r,), 8) for r in range(8)]
    assert simulate(folded).period_ps == simulate(*apart).period_ps


def test_a_rank_of_another_class_in_a_group_is_walked() -> None:
    rows = [(mm(4096), 0, 0), (meet("all_reduce", 1 << 20), 0, 0)]
    logs = ran([*rows, (mm(8192), 0, 0)], [group(0, 1, 2, 3)], (0,), 4)
    others = ran(rows, [group(0, 1, 2, 3)], (1, 2, 3), 4)
    assert [w.rank for w in walked_ranks([logs, others])] == [0, 1]
    assert simulate(logs, others).period_ps > simulate(others).period_ps


def test_stages_of_one_class_are_walked_one_by_one() -> None:
    """Two copies of a pipeline of two: ranks 0 and 1 send to 2 and 3."""
    first = ran(
        [(mm(512), 0, 0), (meet("send", 1 << 10, peer=2), 0, 0)], [group(0, 2)], (0, 1), 4
    )
    second = ran(
        [(meet("recv", 1 << 10, peer=0), 0, 0), (mm(512), 0, 0)], [group(0, 2)], (2, 3), 4
    )
    assert [w.rank for w in walked_ranks([first, second])] == [0, 2]


def test_a_rank_that_never_comes_is_named() -> None:
    here = ran([(meet("all_reduce", 64), 0, 0), (mm(16), 0, 0)], [group(0, 1)], (0,), 2)
    absent = ran([(mm(16), 0, 0)], [group(0, 1)], (1,), 2)
    with pytest.raises(RanksPart, match="rank 0 waits in a collective of the ranks 0, 1"):
        simulate(here, absent)


def test_more_ranks_than_cards_are_refused() -> None:
    one = ran([(meet("all_reduce", 64), 0, 0)], [group(*range(16))], (0,), 16)
    with pytest.raises(ClusterTooSmall, match="16 ranks need as many cards, and 8 × T21 has 8"):
        placed(one, T21X8)


def test_a_call_on_a_cluster_carries_what_it_takes() -> None:
    one = ran([(meet("all_reduce", 1 << 24), 0, 0)], [group(*range(8))], (0,), 8)
    call = placed_call(one.program.calls[0], one.groups, 0, T21X8)
    assert int_of(call, "takes_ps") >= int_of(call, "least_ps") > 0
    assert call.arguments["crosses_nodes"] is False
    assert str(call).startswith("eccl::all_reduce(outputs=[u8[16777216]]")


A100X8 = Cluster(
    name="a100x8", title="8 × A100", node=next(n for n in NODES if n.name == "dgx-a100"),
    num_nodes=1,
)  # fmt: skip


def beside(r: tuple[int, ...], groups: tuple[int, ...], size: int = 1 << 28) -> RankProgram:
    """A large product while an all-reduce runs on the group's own stream."""
    rows = [
        (mm(64), 0, 0), (Kind.RECORD, 0, 1), (Kind.WAIT, BESIDE, 1),
        (meet("all_reduce", size), BESIDE, 0), (Kind.RECORD, BESIDE, 2),
        (mm(65536), 0, 0), (Kind.WAIT, 0, 2), (mm(64), 0, 0),
    ]  # fmt: skip
    return ran(rows, [group(*groups)], r, len(groups))  # type: ignore[arg-type]


def matrix_ps(found: Together, rank: int = 0) -> int:
    return sum(s.duration_ps for s in found.times[rank].spans if s.why == "matrix")


def on(cluster: Cluster, *classes: RankProgram) -> Together:
    return together(classes, cluster, lambda program: Prices(program.calls, cluster.card))


def test_kernels_beside_a_collective_lose_cores_where_it_runs_on_cores() -> None:
    everyone = tuple(range(8))
    quiet = on(A100X8, beside(everyone, everyone, 8))
    loud = on(A100X8, beside(everyone, everyone))
    assert matrix_ps(loud) > matrix_ps(quiet)
    folded_t21 = on(T21X8, beside(everyone, everyone))
    assert matrix_ps(folded_t21) == matrix_ps(on(T21X8, beside(everyone, everyone, 8)))


def test_ranks_apart_share_their_cores_as_ranks_together_do() -> None:
    everyone = tuple(range(4))
    folded = on(A100X8, beside(everyone, everyone))
    apart = on(A100X8, *(beside((r,), everyone) for r in everyone))
    assert apart.period_ps == folded.period_ps
    assert matrix_ps(apart, 3) == matrix_ps(folded)
