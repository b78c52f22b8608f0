"""Worlds of which one process a class runs: the classes, the messages, the memory, the faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from suiren.hw.load import resolve_card
from suiren.mapper.memory import memory_use
from suiren.torch.distributed.alone import CannotRun, run_ranks
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Job
from suiren.torch.distributed.launch import run_devices
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.sameness import digest
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import UNLIMITED_BYTES, How
from suiren.trace.program import Kind

SCRIPTS = Path(__file__).parent / "scripts"
CARD = resolve_card("t21")
HOW = How(numerics=False, memory_bytes=UNLIMITED_BYTES)


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm(SCRIPTS / "staged.py") as started:
        yield started


def world(
    warm: Warm, script: str, *arguments: object, ranks: int, how: How = HOW, per_node: int = 8
) -> list[RankOutcome]:
    given = [str(argument) for argument in arguments]
    return run_ranks(SCRIPTS / script, given, CARD, ranks, how, per_node, warm=warm)


def classes(outcomes: list[RankOutcome]) -> list[list[int]]:
    assert [o.error for o in outcomes if o.error] == []
    return sorted(sorted(o.ranks) for o in outcomes)


def each_rank(warm: Warm, script: str, *arguments: str, ranks: int) -> list[str]:
    """What every rank of a world does, each run for itself."""
    job = Job(SCRIPTS / script, arguments, CARD, ranks, HOW, 8)
    with Hub(warm, job) as hub:
        return [ran.digest for ran in hub.run(range(ranks))]


# ---- classes


def test_a_rank_that_logs_and_one_that_does_more_are_classes_of_their_own(warm: Warm) -> None:
    outcomes = world(warm, "uneven.py", ranks=1024)
    assert classes(outcomes) == [[0], list(range(1, 1023)), [1023]]
    assert outcomes[0].ranks == (0,)
    assert outcomes[0].program.facts["ranks"]["ran"] <= 8


def test_the_world_is_divided_without_rest(warm: Warm) -> None:
    outcomes = world(warm, "staged.py", 2, 32, ranks=16)
    assert sorted(rank for o in outcomes for rank in o.ranks) == list(range(16))
    for outcome in outcomes:
        assert outcome.program.facts["rank"] == outcome.ranks[0]
        assert outcome.program.facts["world_size"] == 16


@pytest.mark.parametrize(("script", "arguments"), [
    pytest.param("uneven.py", (), marks=pytest.mark.slow), ("staged.py", ("4", "32")),
    ("sharded.py", ("11", "1")),
])  # fmt: skip
def test_the_classes_of_eight_are_what_eight_ranks_do(
    warm: Warm, script: str, arguments: tuple[str, ...]
) -> None:
    every = each_rank(warm, script, *arguments, ranks=8)
    outcomes = world(warm, script, *arguments, ranks=8)
    for outcome in outcomes:
        found = digest(outcome.program, 8)
        assert {every[rank] for rank in outcome.ranks} == {found}
    assert len(outcomes) == len(set(every))


def test_shards_that_get_shorter_make_classes(warm: Warm) -> None:
    outcomes = world(warm, "sharded.py", 129, 1, ranks=64)
    # 129 rows in pieces of 3: 43 cards have some, 21 have none
    assert classes(outcomes) == [list(range(43)), list(range(43, 64))]


def test_a_script_that_meets_nobody_is_one_class(warm: Warm) -> None:
    (outcome,) = world(warm, "faulty.py", "alone", ranks=16)
    assert len(outcome.ranks) == 16
    assert "meets no other rank" in outcome.program.facts["ranks"]["notes"][0]


# ---- messages


def test_control_values_are_those_of_a_world_of_equals(warm: Warm, tmp_path: Path) -> None:
    job = Job(SCRIPTS / "control.py", (str(tmp_path),), CARD, 8, HOW, 8)
    with Hub(warm, job) as hub:
        for ran in hub.run([0, 5]):
            assert ran.outcome.error == ""
    found = json.loads((tmp_path / "5.json").read_text())
    for device in ("cpu", "cuda"):
        assert found[f"SUM {device}"] == [16.0, 64.0]
        assert found[f"MAX {device}"] == found[f"AVG {device}"] == [2.0, 8.0]
        assert found[f"PRODUCT {device}"] == [2.0**8, 8.0**8]
    assert found["gathered"] == [5] * 8
    assert found["told"] == {"seed": 7}
    assert found["piece"] == 15.0
    assert found["group"] == [4, 5]
    assert found["names"] == ["cpu:gloo,cuda:nccl", "gloo"]
    assert found["key"] == "value"


def test_stages_learn_their_shapes_from_each_other(warm: Warm) -> None:
    outcomes = world(warm, "staged.py", 4, 32, ranks=4)
    assert classes(outcomes) == [[0], [1], [2], [3]]
    for outcome in outcomes:
        shapes = {
            (call.name, tensor.shape)
            for call in outcome.program.calls
            if call.name in ("send", "recv")
            for tensor in call.inputs()
            if tensor.dtype == "f32"
        }
        assert shapes == {("send", (2, 32)), ("recv", (2, 32))}


# ---- beside real processes


@pytest.mark.parametrize(("script", "arguments"), [
    ("staged.py", ("2", "32")), pytest.param("sharded.py", ("64", "1"), marks=pytest.mark.slow),
    pytest.param("uneven.py", (), marks=pytest.mark.slow),
])  # fmt: skip
def test_a_rank_alone_asks_what_it_asks_among_real_ones(
    warm: Warm, script: str, arguments: tuple[str, ...]
) -> None:
    every = run_devices(SCRIPTS / script, arguments, CARD, 2, HOW)
    outcomes = world(warm, script, *arguments, ranks=2)
    for outcome in outcomes:
        for rank in outcome.ranks:
            assert every[rank].error == ""
            assert steady_ops(every[rank]) == steady_ops(outcome)


def steady_ops(outcome: RankOutcome) -> list[str]:
    """Ops of the last step in order, collectives without what depends on the rank."""
    program = outcome.program
    events = program.distinct[program.order[-1]].events
    calls = [program.calls[int(what)] for what in events["what"][events["kind"] == Kind.OP]]
    return [str(call) if "eccl" not in call.op else call.op for call in calls]


# ---- memory


@pytest.mark.parametrize("ranks", [8, pytest.param(64, marks=pytest.mark.slow)])
def test_sharded_memory_is_the_closed_form(warm: Warm, ranks: int) -> None:
    width, layers = 512, 4
    (outcome,) = world(warm, "sharded.py", width, layers, ranks=ranks)
    program = outcome.program
    steady = program.steady()
    assert steady is not None
    use = memory_use(program, program.distinct[steady])
    own = layers * (width * width + width) * 4 / ranks
    assert use.by_kind()["weights"] == pytest.approx(own, rel=0.1)
    assert use.by_kind()["optimizer state"] == pytest.approx(2 * own, rel=0.1)
    assert use.start_bytes == pytest.approx(4 * own, rel=0.1)


# ---- faults


def test_a_world_with_values_is_refused() -> None:
    with pytest.raises(CannotRun, match=r"--ranks needs --no-numerics.*--devices"):
        run_ranks(SCRIPTS / "uneven.py", (), CARD, 8, How())


@pytest.mark.parametrize(("ranks", "says"), [(0, "give 1 to"), (12, "whole nodes: 8 or 16")])
def test_a_world_that_cannot_be_is_refused(ranks: int, says: str) -> None:
    with pytest.raises(CannotRun, match=says):
        run_ranks(SCRIPTS / "uneven.py", (), CARD, ranks, HOW)


@pytest.mark.parametrize(("how", "ended", "says"), [
    ("mesh", "raised", "a mesh of 3 × 5 needs 15 ranks, and the run has 8"),
    ("waits", "raised", "rank 0 waits in recv for a message of rank 1, which finished without"),
    ("store", "raised", "rank 0 waits in store.get('nobody sets this') for what no rank"),
])  # fmt: skip
def test_what_goes_wrong_is_said(warm: Warm, how: str, ended: str, says: str) -> None:
    outcomes = world(warm, "faulty.py", how, ranks=8)
    assert outcomes[0].ended == ended
    assert says in outcomes[0].error.splitlines()[-1]


def test_the_rank_that_runs_out_of_memory_is_named(warm: Warm) -> None:
    how = How(numerics=False)
    outcomes = world(warm, "faulty.py", "full", ranks=2, how=how)
    by_rank = {o.ranks[0]: o for o in outcomes}
    assert (by_rank[0].ended, by_rank[1].ended) == ("finished", "out of memory")
    assert "Tried to allocate 4.00 TiB" in by_rank[1].error
    assert by_rank[1].program.facts["rank"] == 1


# ---- the host's part


@pytest.mark.slow
def test_offloaded_shards_are_hollow_and_the_host_s_time_is_simulated(warm: Warm) -> None:
    """Of 3072² weights and a few more, a shard on each of two ranks."""
    (outcome,) = world(warm, "offloaded.py", ranks=2)
    assert outcome.error == ""
    program = outcome.program
    step = program.distinct[program.order[-1]]
    calls = [program.calls[what] for kind, what, *_ in step.events.tolist() if kind == Kind.OP]
    moved = {c.name: c.arguments for c in calls if c.op.startswith("host::")}
    shard = (3072 * 3072 + 8 * 3072 + 8) // 2
    assert moved["_fused_adamw_"]["written_bytes"] == 12 * shard
    assert moved["_fused_adamw_"]["read_bytes"] == 16 * shard + 4 * 3
    sums = next(c for name, c in moved.items() if name in ("add_", "_foreach_add_"))
    assert sums["written_bytes"] >= 4 * 3072 * 3072 // 2
