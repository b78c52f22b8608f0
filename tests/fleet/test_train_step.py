"""A step from a layout: parts that sum up, laws, memory, speed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from suiren.fleet.framework import MEGATRON_2022, MEGATRON_CORE
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import memory_of
from suiren.fleet.models import find_model, gpt
from suiren.fleet.step import StepResult, train_step
from suiren.hw.find_cluster import cluster_of

GPT = find_model("gpt3-175b")
SELENE = cluster_of("dgx-a100*128")
LAYOUT = Layout(global_batch=1536, tp=8, pp=16, dp=8, precision="fp16", recompute="full")


def told(**changes: object) -> StepResult:
    return train_step(GPT, replace(LAYOUT, **changes), SELENE, MEGATRON_2022)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [
    {}, {"pp": 8, "dp": 16}, {"vpp": 3, "schedule": "interleaved"}, {"recompute": "none"},
    {"sequence_parallel": True, "recompute": "selective"}, {"zero": 1, "overlap_gradients": True},
    {"schedule": "gpipe"}, {"schedule": "zero-bubble"}, {"pp": 1, "dp": 128},
])  # fmt: skip
def test_parts_sum_to_the_step_and_none_is_negative(changes: dict[str, object]) -> None:
    found = told(**changes)
    assert sum(found.parts_s.values()) == pytest.approx(found.step_s)
    assert all(seconds >= -1e-9 for seconds in found.parts_s.values()), found.parts_s


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe", "zero-bubble"])
def test_cards_draw_on_average_no_more_than_the_stage_that_draws_most(schedule: str) -> None:
    """Where bubbles are filled, cards work a larger share of the step."""
    found = told(schedule=schedule, global_batch=128)
    assert found.energy_j / (found.step_s * 1024) <= 1.001 * found.power_w


def test_no_step_beats_the_roofline() -> None:
    found = told()
    assert found.mfu < found.hfu < 1.0
    flop = 4 / 3 * GPT.flop_per_sample() * 1536
    assert found.hfu == pytest.approx(flop / (found.step_s * 1024 * 312e12), rel=0.1)


def test_a_step_that_computes_again_keeps_less() -> None:
    none, full = told(recompute="none"), told(recompute="full")
    assert none.step_s < full.step_s
    assert none.peak_memory.activations > 5 * full.peak_memory.activations


def bubble(found: StepResult) -> float:
    return found.parts_s["bubble"] / found.step_s


def test_more_micro_batches_less_bubble() -> None:
    shares = [bubble(told(global_batch=batch)) for batch in (256, 768, 1536)]
    assert shares == sorted(shares, reverse=True)


def test_interleaving_less_bubble_more_messages() -> None:
    plain, mixed = told(), told(vpp=3, schedule="interleaved")
    assert bubble(mixed) < bubble(plain)
    assert mixed.parts_s["sends"] > plain.parts_s["sends"]


def test_faster_links_are_never_slower() -> None:
    slow, fast = (train_step(GPT, LAYOUT, cluster_of(name), MEGATRON_2022).step_s
                  for name in ("dgx-a100*128", "hgx-h100*128"))  # fmt: skip
    assert fast < slow


def test_ranks_cost_nothing_stages_do() -> None:
    """1,024 to 16,384 ranks of one stage structure: the same pieces, the same time to price."""
    big = cluster_of("dgx-a100*2048")
    layout = replace(LAYOUT, dp=128, global_batch=24576)
    train_step(GPT, layout, big, MEGATRON_2022)
    took = []
    for one, cluster in ((LAYOUT, SELENE), (layout, big)):
        start = time.process_time()
        for _ in range(5):
            train_step(GPT, one, cluster, MEGATRON_2022)
        took.append(time.process_time() - start)
    assert took[1] < 2 * took[0] + 0.01  # a noisy machine; benchmarks/layouts.py judges 1.2


def test_another_layout_of_a_known_model_is_quick() -> None:
    told()
    start = time.process_time()
    told(pp=8, dp=16)
    assert time.process_time() - start < 0.3


@pytest.mark.parametrize(("name", "layout", "activations", "rest"), [
    ("gpt-22b", Layout(global_batch=4, micro_batch=4, tp=8, precision="fp16"), 59.25, 45.56),
    ("gpt3-175b", Layout(global_batch=64, tp=8, pp=8, vpp=3, precision="fp16"), 66.84, 45.56),
    ("gpt3-175b", Layout(global_batch=64, tp=8, pp=8, vpp=3, precision="fp16",
                         sequence_parallel=True, recompute="selective"), 12.35, 45.56),
    ("gpt-530b", Layout(global_batch=280, tp=8, pp=35, vpp=3, precision="fp16",
                        sequence_parallel=True, recompute="selective"), 23.08, 31.64),
    ("gpt-1t", Layout(global_batch=512, tp=8, pp=64, precision="fp16"), 131.25, 32.96),
])  # fmt: skip
def test_memory_is_that_of_the_paper(
    name: str, layout: Layout, activations: float, rest: float
) -> None:
    """Korthikanti et al. 2022, figure 1, first stage; weights and states averaged over stages."""
    model = find_model(name)
    every = [memory_of(model, layout, MEGATRON_2022, s) for s in range(layout.pp)]
    assert every[0].activations / 2**30 == pytest.approx(activations, rel=0.03)
    mean = sum(m.fixed_bytes for m in every) / len(every) / 2**30
    assert mean == pytest.approx(rest, rel=0.03)


def test_owners_sum_to_the_peak_and_sharing_helps() -> None:
    layout = Layout(global_batch=64, dp=8, tp=8, precision="bf16")
    model = find_model("llama2-70b")
    totals = []
    for zero in (0, 1, 2, 3):
        found = memory_of(model, replace(layout, zero=zero), MEGATRON_CORE, 0)
        assert sum(found.owners().values()) == pytest.approx(found.total_bytes)
        totals.append(found.total_bytes)
    assert totals == sorted(totals, reverse=True)


def test_host_bound_steps_take_the_hosts_time() -> None:
    tiny = gpt("tiny", 12, 64, 4, 32)
    found = train_step(tiny, Layout(global_batch=1), cluster_of("dgx-a100", 1), MEGATRON_2022)
    assert found.parts_s["host"] > 0.7 * found.step_s


def test_too_many_ranks_are_refused() -> None:
    with pytest.raises(BadLayout, match="needs 1024 ranks, the cluster has 8"):
        train_step(GPT, LAYOUT, cluster_of("dgx-a100"))
    with pytest.raises(BadLayout, match="zero 3 gathers weights layer by layer"):
        train_step(GPT, replace(LAYOUT, pp=1, dp=128, zero=3), SELENE)
