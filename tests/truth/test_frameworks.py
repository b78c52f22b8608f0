"""Rows of frameworks beside Megatron-LM: whose kernels they are, and that none is refused."""

from __future__ import annotations

import pytest

from suiren.fleet.attention_rates import RATES, slowdown
from suiren.fleet.framework import FRAMEWORKS, MEGATRON_2021, MEGATRON_2022, MEGATRON_CORE
from suiren.fleet.frameworks import (
    COLOSSAL,
    DEEPSPEED_BF16,
    DEEPSPEED_FP16,
    GPT_NEOX_BF16,
    MEGATRON_LLAMA,
    NEMO_MEGATRON,
    NEURONX,
    OTHERS,
    PADDLE,
    PLAIN,
    PRIMUS,
    XLA_GPU,
    XLA_SHARDED,
)
from suiren.fleet.sharded import ShardedStep
from suiren.fleet.step import StepResult
from suiren.hw.names import card_for_hardware, find_card
from suiren.truth import steps, steps_torus
from suiren.truth.memory import predict_memory
from suiren.truth.predict import predict
from suiren.truth.rows import Row
from suiren.truth.steps_layout import framework_of, layout_of
from suiren.truth.steps_model import model_of
from suiren.units import GiB

GPT = {"model": "gpt-1.3b", "model_family": "GPT", "n_layers": "8", "d_model": "2048",
       "n_heads": "16", "d_ff": "8192", "vocab": "50304", "seq_len": "1024",
       "precision": "bf16", "micro_batch": "2", "global_batch": "64"}  # fmt: skip


def row(framework: str, source: str = "", hardware: str = "A100-SXM-80GB", **shape: str) -> Row:
    fields = {**GPT, "framework": framework, "n_devices": "8", "tp": "2", "pp": "2", **shape}
    fields = {k: v for k, v in fields.items() if v}
    return Row("r", hardware, "training step", fields, fields.get("precision", ""), 1.0, "s",
               source, "", "check", 2, fields["model"])  # fmt: skip


@pytest.mark.parametrize(("name", "precision", "found"), [
    ("Megatron-DeepSpeed (BigScience)", "bf16", DEEPSPEED_BF16),
    ("Megatron-DeepSpeed", "fp16", DEEPSPEED_FP16), ("GPT-NeoX", "bf16", GPT_NEOX_BF16),
    ("Colossal-AI", "bf16", COLOSSAL), ("Megatron-LLaMA", "bf16", MEGATRON_LLAMA),
    ("NeMo-Megatron 22.08", "bf16", NEMO_MEGATRON), ("AMD Primus (Megatron)", "bf16", PRIMUS),
    ("NeuronX Distributed", "bf16", NEURONX), ("PaddleNLP", "bf16", PADDLE),
    ("MaxText (JAX) on GPU", "bf16", XLA_GPU), ("Megatron-LM 2022", "fp16", MEGATRON_2022),
    ("Megatron-LM (2021-05)", "fp16", MEGATRON_2021), ("Megatron-LM", "bf16", MEGATRON_CORE),
])  # fmt: skip
def test_a_name_means_a_framework(name: str, precision: str, found: object) -> None:
    assert framework_of(row(name, precision=precision)) == found


def test_vtrains_own_runs_are_not_those_of_pipelines() -> None:
    ours = framework_of(row("Megatron-DeepSpeed (PyTorch)", "github.com/VIA-Research/vTrain"))
    assert ours.name == "megatron-deepspeed-2022"


@pytest.mark.parametrize(("name", "shape", "taken"), [
    ("Abacus", {}, MEGATRON_CORE), ("Abacus 2021", {}, MEGATRON_2021),
    ("Abacus 2022", {}, MEGATRON_2022), ("Abacus", {"tp": "1", "pp": "1"}, PLAIN),
])  # fmt: skip
def test_an_unknown_name_is_taken_for_its_nearest_and_says_so(
    name: str, shape: dict[str, str], taken: object
) -> None:
    found = framework_of(row(name, **shape))
    assert found.stands_for == name
    assert found.title == taken.title  # type: ignore[attr-defined]
    step = steps.step_of(row(name, **shape), find_card("a100"))
    assert isinstance(step, StepResult)
    assert step.assumed["framework"] == (
        f"{found.title} stands for {name}, which nobody described"
    )


def test_no_two_frameworks_share_a_name() -> None:
    assert not FRAMEWORKS.keys() & OTHERS.keys()
    assert len({f.title for f in (*FRAMEWORKS.values(), *OTHERS.values())}) == len(
        FRAMEWORKS
    ) + len(OTHERS)


@pytest.mark.parametrize("framework", OTHERS.values(), ids=OTHERS)
def test_every_framework_takes_a_step(framework: object) -> None:
    from suiren.fleet.layout import Layout
    from suiren.fleet.models import gpt
    from suiren.fleet.step import train_step
    from suiren.hw.find_cluster import cluster_of

    layout = Layout(global_batch=16, micro_batch=2, tp=2, pp=2, dp=2, zero=1, recompute="full")
    step = train_step(gpt("tiny", 8, 512, 8, 256, 1024), layout, cluster_of("dgx-a100"),
                      framework)  # type: ignore[arg-type]  # fmt: skip
    assert 0 < step.step_s < 1
    assert step.peak_memory.total_bytes > 1e9


def layout(one: Row, card: str = "a100"):  # type: ignore[no-untyped-def]
    return layout_of(one, model_of(one), find_card(card), framework_of(one))


def test_deepspeeds_pipelines_compute_layers_again_and_share_states() -> None:
    """Its BF16 optimizer shares them whatever stage a configuration asks for."""
    found = layout(row("Megatron-DeepSpeed", zero_fsdp="ZeRO-0"))
    assert (found.recompute, found.zero) == ("full", 1)
    found = layout(row("Megatron-DeepSpeed", precision="fp16"))
    assert (found.recompute, found.zero) == ("full", 0)
    assert layout(row("Megatron-DeepSpeed", recompute="none")).recompute == "none"


def test_a_silent_row_computes_no_more_again_than_must_be() -> None:
    small = row("Abacus 2021", micro_batch="1")
    assert layout(small).recompute == "none"
    large = row("Abacus 2021", micro_batch="16", global_batch="64", n_layers="32", seq_len="2048")
    assert layout(large).recompute == "selective"


def test_colossal_takes_a_ranks_batch_at_once_unless_it_has_stages() -> None:
    plain = layout(row("Colossal-AI", tp="1", pp="1", micro_batch="", zero_fsdp="zero2(dp8)"))
    assert (plain.micro_batch, plain.zero, plain.micro_batches) == (8, 2, 1)
    assert layout(row("Colossal-AI", micro_batch="")).micro_batch == 1


def test_colossal_states_bytes_of_tensors_and_others_what_a_driver_shows() -> None:
    told = row("Colossal-AI", peak_mem_GiB="20", recompute="full")
    driver = row("Abacus", peak_mem_GiB="20", recompute="full")
    ours, theirs = predict_memory(told), predict_memory(driver)
    assert ours is not None and theirs is not None
    assert ours.predicted_bytes and theirs.predicted_bytes
    assert theirs.predicted_bytes - ours.predicted_bytes > 1 * GiB


def test_a_driver_never_shows_more_than_the_card_where_tensors_fit() -> None:
    one = row("Megatron-DeepSpeed", peak_mem_GiB="70", n_layers="112", d_model="4096",
              n_heads="32", d_ff="16384", micro_batch="2")  # fmt: skip
    found = predict_memory(one)
    assert found is not None
    assert found.predicted_bytes == float(find_card("a100").memory_bytes)


def test_gradients_of_deepspeed_are_summed_whole() -> None:
    """An all-reduce moves twice what a reduce-scatter does."""
    from dataclasses import replace

    from suiren.fleet.after import after_stage
    from suiren.fleet.layout import Layout
    from suiren.fleet.models import gpt
    from suiren.hw.find_cluster import cluster_of

    how = Layout(global_batch=64, dp=8, zero=1, recompute="full")
    parts = replace(DEEPSPEED_FP16, reduces_whole=False)
    model, cluster = gpt("g", 8, 2048, 16), cluster_of("dgx-a100")
    whole = after_stage(model, how, DEEPSPEED_FP16, cluster, 0)
    shared = after_stage(model, how, parts, cluster, 0)
    assert 1.4 < whole.reduce_s / shared.reduce_s < 2.2
    assert whole.gather_s == shared.gather_s
    every = after_stage(model, replace(how, zero=2), parts, cluster, 0)
    assert every.reduce_s == pytest.approx(how.micro_batches * shared.reduce_s)


def test_attention_of_amperes_time_is_slower_on_hopper_alone() -> None:
    h100, a100 = find_card("h100"), find_card("a100")
    old, cudnn = DEEPSPEED_BF16.attention_kernel, MEGATRON_CORE.attention_kernel
    assert slowdown(old, a100, False) == slowdown("library", h100, False) == 1.0
    for back in (False, True):  # as far apart as the paper's figures
        apart = float(RATES[cudnn][back]) / float(RATES[old][back])
        ours = slowdown(old, h100, back) / slowdown(cudnn, h100, back)
        assert ours == pytest.approx(apart)
    assert slowdown(old, h100, False) > 1 > slowdown(cudnn, h100, False)


def test_maxtext_on_gpus_is_one_program_with_sharded_weights() -> None:
    one = row("MaxText (JAX)", hardware="H100-SXM-80GB", tp="1", pp="1", global_batch="",
              zero_fsdp="ici_fsdp=8", recompute="remat_policy=minimal")  # fmt: skip
    assert not steps_torus.covers(one)
    assert framework_of(one) == XLA_SHARDED
    assert layout(one, "h100").recompute == "selective"
    step = steps.step_of(one, find_card("h100"))
    assert isinstance(step, ShardedStep)
    assert step.parts_s["host"] == 0.0
    assert steps_torus.covers(row("MaxText (JAX)", hardware="TPU v5p"))


def test_llama_kinds_without_a_word_on_attention_are_fused_and_old_runs_are_not() -> None:
    assert model_of(row("Abacus", model="llama2-7b")).attention == "flash"
    assert model_of(row("Abacus 2021", model="llama2-7b")).attention == "unfused"
    assert model_of(row("Colossal-AI")).attention == "flash"
    assert model_of(row("Megatron-DeepSpeed")).attention == "unfused"


def test_neox_and_bloom_bring_what_their_configurations_say() -> None:
    neox = model_of(row("GPT-NeoX"))
    assert (neox.positions, neox.tied) == ("rotary", False)
    assert model_of(row("Megatron-DeepSpeed", model="bloom-7b1")).positions == "none"


@pytest.mark.parametrize(("text", "card"), [
    ("Iluvatar BI-V100", None), ("Iluvatar BI-V150", "bi150"), ("MetaX C500", None),
    ("Kunlunxin R480", None), ("AMD Instinct MI250X (LUMI)", "mi250x"), ("MI355X", "mi355x"),
    ("trn1.32xlarge (Trainium1)", "trainium1"), ("AWS Trn2 (trn2.48xlarge)", "trainium2"),
    ("NVIDIA H800 80GB HBM3", "h800"), ("A800-SXM4-80GB", "a800"), ("NVIDIA H20-96GB", "h20"),
    ("NVIDIA GH200 480GB", "gh200"), ("TPU v5p-128", "tpu-v5p"), ("nvidia: A100", "a100"),
])  # fmt: skip
def test_cards_as_tables_spell_them(text: str, card: str | None) -> None:
    found = card_for_hardware(text)
    assert (found.name if found else None) == card


@pytest.mark.parametrize("hardware", [
    "MI250X", "MI300X", "MI325X", "MI355X", "Trainium1", "Trainium2", "H800", "A800", "H20", "L40S",
    "GH200", "Iluvatar BI-V150", "MetaX C550",
])  # fmt: skip
def test_a_step_on_each_is_priced(hardware: str) -> None:
    one = row("Megatron-LM", hardware=hardware, n_layers="2", vocab="1024", n_devices="4",
              global_batch="8")  # fmt: skip
    found = predict(one)
    assert (found.status, found.seconds is not None) == ("predicted", True)


def test_a_torus_that_has_no_way_out_says_so() -> None:
    found = predict(row("Megatron-LM", hardware="TPU v5p"))
    assert found.status == "tpu-v5p-host has no NIC: a group cannot spread over such nodes"
