"""What is made for a rank from two others that ran is what it does when it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from suiren.fleet.ranks import RankProgram
from suiren.hw.find_cluster import cluster_of
from suiren.hw.load import resolve_card
from suiren.mapper.memory import memory_use
from suiren.report.ranks import answer_for_ranks
from suiren.torch.distributed.classes import Classes
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.made import Maker
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.sameness import digest
from suiren.torch.distributed.shard_slots import NotAlike
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import UNLIMITED_BYTES, How
from suiren.trace.program import Kind, Program

STAIRS = Path(__file__).parent / "scripts" / "stairs.py"
HOW = How(numerics=False, memory_bytes=UNLIMITED_BYTES)
RANKS = 16


def hub_of(warm: Warm, how: str) -> Hub:
    # rows of 30, 16, 6 and 8: shards of two, one, one and one, which end at ranks 15, 16, 6 and 8
    arguments = (how, "8", "30", "16", "6", "8")
    return Hub(warm, Job(STAIRS, arguments, resolve_card("t21"), RANKS, HOW, 8))


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(STAIRS) as started:
        yield started


@pytest.fixture(scope="module", params=[
    "foreach", pytest.param("fused", marks=pytest.mark.slow),
    pytest.param("loop", marks=pytest.mark.slow),
])  # fmt: skip
def both(
    warm: Warm, request: pytest.FixtureRequest
) -> tuple[list[RankOutcome], dict[int, Ran], dict[int, Ran]]:
    """The classes of a world, the ranks that ran for them, and those that were made, run."""
    with hub_of(warm, request.param) as hub:
        outcomes = Classes(hub, RANKS, 8).find()
        ran = dict(hub.ran)
    made = [o.ranks[0] for o in outcomes if "made_from" in o.program.facts]
    with hub_of(warm, request.param) as hub:
        return outcomes, ran, dict(zip(made, hub.run(made), strict=True))


Both = tuple[list[RankOutcome], dict[int, Ran], dict[int, Ran]]


def steady_texts(program: Program) -> list[tuple[str, ...]]:
    """Events of the steady step in words, without the numbers of storages and cards."""
    key = program.steady()
    assert key is not None
    texts = []
    for kind, what, context, stream, value in program.distinct[key].events.tolist():
        is_op = kind in (Kind.OP, Kind.ENTER)
        said = str(program.calls[what]) if is_op else ""
        size = value if kind in (Kind.ALLOC, Kind.FREE) else 0
        texts.append((Kind(kind).name, said, str(program.contexts[context]), str(stream & 0xFFFF),
                      str(size)))  # fmt: skip
    return texts


def test_kinds_between_two_that_ran_are_made(both: Both) -> None:
    outcomes, ran, _ = both
    sizes = {o.ranks[0]: sorted(o.ranks) for o in outcomes}
    assert sizes == {0: [*range(6)], 6: [6, 7], 8: [*range(8, 15)], 15: [15]}
    assert sorted(ran) == [0, 1, 15]
    for outcome in outcomes:
        assert ("made_from" in outcome.program.facts) == (outcome.ranks[0] in (6, 8))
        assert outcome.program.facts["ranks"]["made"] == 2


def test_what_is_made_is_what_the_rank_does(both: Both) -> None:
    outcomes, _, by_rank = both
    for outcome in outcomes:
        if outcome.ranks[0] not in by_rank:
            continue
        really = by_rank[outcome.ranks[0]]
        program = really.outcome.program
        assert digest(outcome.program, 8) == really.digest
        assert steady_texts(outcome.program) == steady_texts(program)
        for name in ("groups", "optimizer_states", "parameters", "rank"):
            assert outcome.program.facts[name] == program.facts[name]
        uses = [memory_use(p, p.distinct[p.steady() or 0]) for p in (outcome.program, program)]
        assert uses[0].by_kind() == uses[1].by_kind()
        assert [size for _, size in uses[0].curve] == [size for _, size in uses[1].curve]


def test_the_answer_is_that_of_ranks_that_ran(both: Both) -> None:
    outcomes, _, by_rank = both
    cluster = cluster_of("t21x8", RANKS)
    real = [by_rank[o.ranks[0]].outcome.program if o.ranks[0] in by_rank else o.program
            for o in outcomes]  # fmt: skip
    made, ran = (
        answer_for_ranks([RankProgram(o.ranks, p) for o, p in zip(outcomes, programs, strict=True)],
                         cluster, advise=False)
        for programs in ([o.program for o in outcomes], real)
    )  # fmt: skip
    assert made.step_time_s == ran.step_time_s
    assert made.energy_j == ran.energy_j
    assert [(r.rank, r.split_s, r.peak_bytes) for r in made.rows] == [
        (r.rank, r.split_s, r.peak_bytes) for r in ran.rows
    ]
    assert made.notes == ("2 kinds of ranks were made, not run: the steady step of rank 1 with the "
                          "sizes of their shards, which holds for rank 15; their first steps are "
                          "taken to need no more memory",)  # fmt: skip


def test_nothing_is_made_where_the_second_rank_did_something_else(both: Both) -> None:
    _, ran, _ = both
    lower, higher = ran[1], ran[15]
    with pytest.raises(NotAlike, match="made for rank 15 is not what it did"):
        Maker(lower, replace(higher, digest="another"), 8)
    with pytest.raises(NotAlike, match="is not cut as its sizes say"):
        Maker(lower, replace(higher, cuts=lower.cuts), 8)
