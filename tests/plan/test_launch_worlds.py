"""Generated scripts run as whole worlds: what ranks hold and where they meet is as planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from launch_cases import Case, cases, mixtures, write

from suiren.fleet.framework import MEGATRON_CORE
from suiren.fleet.memory import memory_of, messages_bytes
from suiren.fleet.share import share_of
from suiren.hw.load import resolve_card
from suiren.mapper.memory import live_before
from suiren.torch.distributed.alone import run_ranks
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.sameness import ranks_of
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import How
from suiren.trace.program import Kind, Step

CARD = resolve_card("t20")
#: The default run takes these; the others are slow.
QUICK = ("tp sp dp",)


def named(found: dict[str, Case]) -> list[object]:
    return [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow, id=name)
        for name in found
    ]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    script = write(tmp_path_factory.mktemp("warm"), cases()["zero 3"].launch())
    with Warm(script) as started:
        yield started


def world(warm: Warm, folder: Path, one: Case) -> list[RankOutcome]:
    script = write(folder, one.launch())
    given = ["--steps", "2"]
    how = How(numerics=False)
    outcomes = run_ranks(script, given, CARD, one.layout.ranks, how, warm=warm)
    assert [o.error for o in outcomes if o.error] == []
    return outcomes


def step_of(outcome: RankOutcome) -> Step:
    steady = outcome.program.steady()
    found = outcome.program.distinct[steady] if steady is not None else outcome.program.rest
    assert found is not None
    return found


def meetings(outcome: RankOutcome) -> Counter[tuple[str, tuple[int, ...]]]:
    """How often a rank is in each collective with whom, in one step."""
    program = outcome.program
    groups = [ranks_of(fact) for fact in program.facts["groups"]]
    found: Counter[tuple[str, tuple[int, ...]]] = Counter()
    for event in step_of(outcome).events:
        call = program.calls[event["what"]] if event["kind"] == Kind.OP else None
        if call is not None and call.op.startswith("eccl::"):
            number = call.arguments["group"]
            assert isinstance(number, int)
            found[call.name, groups[number]] += 1
    return found


def held_bytes(one: Case, stage: int) -> float:
    """What a rank holds between two steps, as the plan has it.

    Weights, gradients, states, and buffers for the messages of the next step.
    """
    layout = one.layout
    memory = memory_of(one.model, layout, MEGATRON_CORE, stage)
    if layout.zero >= 2:  # shards in FP32: weights, gradients until they are used, both moments
        return 16 * one.model.params / (layout.dp * layout.cp * layout.tp)
    ahead = replace(MEGATRON_CORE, buffers_ahead=True)
    messages = messages_bytes(layout, share_of(one.model, layout, ahead), stage)
    return memory.fixed_bytes + messages


def large_bytes(outcome: RankOutcome) -> Counter[str]:
    """Between two steps, by kind, without tensors of one unit of the allocator.

    Counters of steps, norms and shards of adapters are a few bytes each and take 512: much
    beside a model of a megabyte, nothing beside a real one.
    """
    found: Counter[str] = Counter()
    for number, (size, _) in live_before(step_of(outcome)).items():
        label = outcome.program.labels.get(number)
        found[label.kind if label else "other"] += size * (size > 512)
    return found


@pytest.mark.parametrize("name", named({n: c for n, c in cases().items() if not c.lora
                                        and c.layout.offload == "none"}))  # fmt: skip
def test_a_rank_holds_what_the_plan_says(warm: Warm, tmp_path: Path, name: str) -> None:
    one = cases()[name]
    outcomes = world(warm, tmp_path, one)
    per_stage = one.layout.ranks // one.layout.pp
    for outcome in outcomes:
        stage = outcome.ranks[0] // per_stage
        held = large_bytes(outcome).total()
        assert held == pytest.approx(held_bytes(one, stage), rel=0.02, abs=20_000)
    check_meetings(one, outcomes)
    if name in QUICK:  # parts of the vocabulary begin elsewhere, and ranks are alike all the same
        assert len(outcomes) == one.layout.pp


def check_meetings(one: Case, outcomes: list[RankOutcome]) -> None:
    """Tensor parallel groups and pipelines meet as often as the layout says."""
    layout, sp = one.layout, one.layout.sequence_parallel
    per_stage = layout.ranks // layout.pp
    m, layers = layout.micro_batches, one.model.layers // layout.pp
    passes = 2 if layout.recompute != "none" else 1
    for outcome in outcomes:
        rank = outcome.ranks[0]
        stage = rank // per_stage
        met = meetings(outcome)
        first = rank // layout.tp * layout.tp
        tensor = tuple(range(first, first + layout.tp))
        ends = (stage == 0) + (stage == layout.pp - 1)
        if layout.tp > 1 and sp and layout.zero < 2:
            # a layer: two each forward (again where it is computed again) and backward;
            # embedding and head: one each way
            scattered = m * (layers * 2 * 2 + ends)
            assert met["reduce_scatter", tensor] >= scattered
            assert met["all_gather", tensor] >= scattered
            assert met["reduce_scatter", tensor] <= m * (layers * 2 * (1 + passes) + ends)
        sends = sum(count for (op, _), count in met.items() if op == "send")
        neighbours = (stage > 0) + (stage < layout.pp - 1) if layout.vpp == 1 else 0
        if layout.vpp == 1:
            assert sends == m * neighbours
        if layout.zero == 1 and layout.dp * layout.cp > 1:
            data = tuple(range(rank // per_stage * per_stage + rank % layout.tp,
                               (rank // per_stage + 1) * per_stage, layout.tp))  # fmt: skip
            kinds = 2 if layout.tp > 1 or (one.model.tied and layout.pp > 1 and ends) else 1
            assert met["reduce_scatter", data] >= kinds
            assert met["all_gather", data] >= kinds


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, c in cases().items() if c.lora])
def test_adapters_alone_have_gradients_and_states(warm: Warm, tmp_path: Path, name: str) -> None:
    for outcome in world(warm, tmp_path, cases()[name]):
        kinds = large_bytes(outcome)
        assert kinds["optimizer state"] < kinds["weights"] / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(mixtures()))
def test_tokens_go_to_experts_and_back(warm: Warm, tmp_path: Path, name: str) -> None:
    one = mixtures()[name]
    layers = one.model.layers // one.layout.pp
    for outcome in world(warm, tmp_path, one):
        exchanges = sum(n for (op, _), n in meetings(outcome).items() if op == "all_to_all")
        wanted = 4 * layers * one.layout.micro_batches if one.layout.ep > 1 else 0
        assert exchanges == wanted
