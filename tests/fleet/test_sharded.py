"""A step with sharded weights: the laws that any such step obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.cost import lost_to_cores_s
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.model import Model
from suiren.fleet.sharded import ShardedStep, sharded_step, torus_s
from suiren.fleet.sharded_framework import LLM_FOUNDRY, LLM_FOUNDRY_FLASH, MAXTEXT, Sharded
from suiren.hw.catalog.node import NODES
from suiren.hw.cluster import Cluster
from suiren.hw.fact import assumed
from suiren.hw.names import find_card

MODEL = Model(name="small", layers=12, d_model=1024, heads=8, d_ff=4096, vocab=32000, seq=1024,
              bias=False, dropout=False, attention="flash")  # fmt: skip
HGX = next(n for n in NODES if n.name == "hgx-h100")
DGX = next(n for n in NODES if n.name == "dgx-a100")


def cluster(nodes: int = 2, node: object = DGX) -> Cluster:
    return Cluster(name=f"{node.name}-{nodes}", title="", node=node, num_nodes=nodes)  # type: ignore[attr-defined]


def layout(ranks: int = 16, micro: int = 4, **more: object) -> Layout:
    given = {"global_batch": 2 * micro * ranks, "micro_batch": micro, "dp": ranks, "zero": 3}
    return Layout(**{**given, **more})  # type: ignore[arg-type]


def step(how: Sharded = LLM_FOUNDRY, nodes: int = 2, **more: object) -> ShardedStep:
    return sharded_step(MODEL, layout(8 * nodes, **more), cluster(nodes), how)


@given(micro=st.sampled_from([1, 2, 8]), nodes=st.integers(1, 4), zero=st.sampled_from([2, 3]),
       recompute=st.sampled_from(["none", "full"]))  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_the_parts_sum_to_the_step_and_none_is_negative(
    micro: int, nodes: int, zero: int, recompute: str
) -> None:
    found = step(nodes=nodes, micro=micro, zero=zero, recompute=recompute)
    assert sum(found.parts_s.values()) == pytest.approx(found.step_s)
    assert min(found.parts_s.values()) >= -1e-12
    assert found.hidden_s >= 0
    assert 0 < found.mfu < 1


def test_weights_that_stay_gathered_never_take_longer_but_more_memory() -> None:
    kept, freed = step(zero=2), step(zero=3)
    assert kept.step_s <= freed.step_s
    assert kept.memory.weights > 2 * freed.memory.weights


@pytest.mark.parametrize("micro", [1, 64])
def test_the_peak_is_in_the_loss_or_in_a_layers_backward_pass(micro: int) -> None:
    found = step(replace(LLM_FOUNDRY, keeps_root=False), micro=micro, recompute="full").memory
    shard = 4 * MODEL.params / 16
    whole = 2 * (MODEL.params - MODEL.layers * MODEL.layer_params())
    if micro == 1:  # a block and its gradient are more than the logits of few tokens
        assert found.logits == 0 and found.weights > whole and found.gradients > shard
    else:
        assert found.logits > 0 and found.weights == 0 and found.gradients == shard


def test_frozen_weights_are_sharded_but_have_no_moments() -> None:
    adapters = 1e6
    frozen = replace(LLM_FOUNDRY, accumulate="frozen", adapter_params=adapters)
    found, whole = step(frozen).memory, step().memory
    shard = MODEL.params / 16
    assert whole.optimizer == 12 * shard
    assert found.optimizer == pytest.approx(4 * shard + 8 * adapters * MODEL.layers / 16)


def test_moments_are_offloaded_and_sharded_weights_stay() -> None:
    assert step(offload="optimizer").memory.optimizer == 4 * MODEL.params / 16


def test_recomputing_takes_longer_and_keeps_less() -> None:
    kept, again = step(recompute="none"), step(recompute="full")
    assert again.step_s > 1.15 * kept.step_s
    assert again.memory.activations < kept.memory.activations / 4


def test_a_slower_network_never_makes_a_step_faster() -> None:
    found = []
    for times in (1, 4, 16, 64):
        thin = replace(cluster(), name=f"thin-{times}", oversubscription=assumed(times, "the test"),
                       nodes_per_leaf=assumed(1, "the test"))  # fmt: skip
        found.append(sharded_step(MODEL, layout(), thin, LLM_FOUNDRY).step_s)
    assert found == sorted(found)
    assert found[-1] > 1.5 * found[0]


def test_large_micro_batches_hide_the_gathers() -> None:
    small, large = step(micro=1), step(micro=16)
    exposed = [s.parts_s["gather and scatter"] / s.step_s for s in (small, large)]
    assert exposed[0] > 5 * exposed[1]
    assert large.hidden_s > large.parts_s["gather and scatter"]


def test_gradients_in_fp32_are_not_cheaper_and_metrics_cost_their_passes() -> None:
    assert step(replace(LLM_FOUNDRY, reduces_fp32=True)).step_s > step().step_s
    assert step(replace(LLM_FOUNDRY, train_metrics=0)).step_s < step().step_s


def test_the_attention_kernel_is_paced_by_what_was_published() -> None:
    a100, h100 = find_card("a100"), find_card("h100")
    assert LLM_FOUNDRY.attention_slowdown(a100, True) == 2.0
    assert LLM_FOUNDRY_FLASH.attention_slowdown(a100, False) == 1.0
    assert 1.3 < LLM_FOUNDRY_FLASH.attention_slowdown(h100, False) < 1.5
    assert 1.9 < LLM_FOUNDRY_FLASH.attention_slowdown(h100, True) < 2.2
    assert 1.1 < MAXTEXT.attention_slowdown(h100, True) < 1.4


def test_a_torus_gathers_at_the_rate_of_all_ports_and_takes_no_cores() -> None:
    host = next(n for n in NODES if n.card.chip.family == "tpu")
    square = Cluster(name="square", title="", node=replace(host, card=find_card("tpu-v5e")),
                     num_nodes=64, fabric="torus", torus=(16, 16))  # fmt: skip
    rate = float(find_card("tpu-v5e").link.bytes_per_s) / 2  # type: ignore[union-attr]
    assert torus_s(square, 1e9, 256) == pytest.approx(1e9 / rate, rel=0.02)
    assert lost_to_cores_s(1.0, square.card) == 0
    assert lost_to_cores_s(1.0, cluster().card) > 0.1
    found = sharded_step(MODEL, layout(256), square, MAXTEXT)
    assert found.parts_s["host"] == 0


@pytest.mark.parametrize(("more", "words"), [
    ({"zero": 1}, "need zero 2 or 3"), ({"pp": 2, "zero": 3}, "one stage"),
    ({"global_batch": 33}, "no multiple of dp"),
])  # fmt: skip
def test_an_impossible_layout_says_why(more: dict[str, int], words: str) -> None:
    with pytest.raises(BadLayout, match=words):
        step(**more)
