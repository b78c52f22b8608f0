"""What a row's words say of a run: presets, sharing, adapters, sizes."""

from __future__ import annotations

import pytest

from suiren.fleet.layout import Layout
from suiren.fleet.sharded_framework import AUTOMODEL, MEGATRON_FSDP
from suiren.hw.names import find_card
from suiren.truth import steps, steps_sharded
from suiren.truth.rows import Row
from suiren.truth.steps_bridge import (
    graphs_of,
    predicts_more,
    scaling_of,
    sends_once,
    with_ends,
)
from suiren.truth.steps_layout import framework_of, layout_of, recompute_of, zero_of
from suiren.truth.steps_model import model_of
from suiren.truth.unknown import NotPredicted

SIZES = {"n_layers": "61", "d_model": "7168", "n_heads": "128", "n_kv_heads": "MLA",
         "d_ff": "18432 dense(first 3)/2048 expert", "vocab": "129280",
         "seq_len": "4096"}  # fmt: skip
LATENT = "MoE 256 experts top-8 + 1 shared (2048), first 3 layers dense; MLA q_lora 1536"


def row(
    notes: str = "", framework: str = "Megatron-Bridge / NeMo 26.02", model: str = "DeepSeekV3",
    hardware: str = "DGX-GB200", precision: str = "MXFP8", **shape: str,
) -> Row:  # fmt: skip
    fields = {"framework": framework, "model": model, "precision": precision, **shape}
    return Row("r", hardware, "training step", fields, precision, 1.0, "s", "", notes, "check", 2,
               model)  # fmt: skip


@pytest.mark.parametrize(("notes", "graphs"), [
    ("cuda_graph=None/None, fsdp=None; MoE", ()),
    ("cuda_graph=none/full_iteration; MoE", ()),
    ("cuda_graph=transformer_engine/['attn', 'moe_router', 'moe_preprocess']; MoE",
     ("attn", "router")),
    ("cuda_graph=transformer_engine/mlp", ("mlp",)),
    ("cuda_graph=local/full_iteration", ("all",)),
    ("cuda_graph=full_iteration/[]", ("all",)),
    ("MoE 256 experts", ("attn", "router")),
    ("arch: llama_provider.py", ()),
])  # fmt: skip
def test_graphs_are_those_of_the_preset(notes: str, graphs: tuple[str, ...]) -> None:
    assert graphs_of(row(notes)) == graphs


def test_what_a_release_does_where_a_row_is_silent() -> None:
    later = "Megatron-Bridge / NeMo 26.08"
    assert graphs_of(row("MoE 256 experts", later, hardware="DGX-GB300")) == ("all",)
    assert framework_of(row("MoE 256 experts", later, hardware="DGX-GB300")).overlaps_experts
    assert graphs_of(row("MoE 256 experts", hardware="DGX-H100")) == ()
    assert not framework_of(row("MoE", later)).expert_kernels
    assert framework_of(row("MoE")).expert_kernels


def test_who_sends_a_token_once() -> None:
    assert sends_once(row("moe_dispatch=hybridep"))
    assert not sends_once(row("moe_dispatch=None"))
    assert sends_once(row())
    assert not sends_once(row(framework="Megatron-Bridge / NeMo 25.09"))
    assert sends_once(row(framework="Megatron-Bridge / NeMo 25.09", hardware="DGX-H100"))
    assert sends_once(row(framework="NeMo AutoModel (PyTorch FSDP2)", attention_impl="TE + DeepEP"))


def test_scales_come_from_where_the_precision_says() -> None:
    assert [scaling_of(row(precision=p)) for p in ("MXFP8", "FP8-MX", "FP8-CS", "FP8")] == [
        "block", "block", "current", "current"]  # fmt: skip
    assert layout_of_precision("NVFP4").precision == "fp4"


def layout_of_precision(precision: str) -> Layout:
    one = row(model="Llama3 8B", precision=precision, seq_len="4096", tp="1", pp="1",
              global_batch="1", micro_batch="1")  # fmt: skip
    return layout_of(one, model_of(one), find_card("h200"), framework_of(one))


def test_latent_queries_are_no_adapters() -> None:
    assert framework_of(row(LATENT)).accumulate == "fused"
    tuned = framework_of(row("LoRA fine-tuning; arch"))
    assert (tuned.accumulate, tuned.adapter_rank, tuned.adapts_all) == ("frozen", 16, False)


@pytest.mark.parametrize(("words", "zero"), [
    ("distributed optimizer (ZeRO-1 style)", 1), ("Megatron-FSDP (group 64)", 3), ("zero2(dp8)", 2),
    ("zero1(dp2)+tp2+pp4", 1), ("none (no FSDP)", 0), ("plain DP", 0), ("", 0),
])  # fmt: skip
def test_what_ranks_share(words: str, zero: int) -> None:
    assert zero_of(words.lower()) == zero


def test_automodel_is_its_own_framework() -> None:
    name = "NeMo AutoModel (PyTorch FSDP2)"
    one, many = (row(framework=name, n_devices=n, recompute="see examples/llm_benchmark yaml",
                     zero_fsdp="FSDP2 group 8") for n in ("1", "8"))  # fmt: skip
    assert not steps_sharded.covers(many) and steps.covers(many)
    assert framework_of(many) is AUTOMODEL and recompute_of(many, AUTOMODEL) == "full"
    assert not framework_of(one).fused and recompute_of(one, AUTOMODEL) == "none"
    shared = framework_of(row(zero_fsdp="Megatron-FSDP (group 64)"))
    assert shared.name == MEGATRON_FSDP.name and shared.scaling == "block"


def test_sizes_that_a_row_leaves_out_are_the_published_ones() -> None:
    found = model_of(row(model="Qwen2.5 32B 2-node", seq_len="4096"))
    assert (found.layers, found.d_model, found.kv_heads, found.seq) == (64, 5120, 8, 4096)
    with pytest.raises(NotPredicted, match="gives no n_layers"):
        model_of(row(model="Somebody's 9B", seq_len="4096"))
    with pytest.raises(NotPredicted, match="carry a state"):
        model_of(row(model="Nemotron-H 56B", **SIZES))


def test_families_have_their_parts() -> None:
    plain = {"n_layers": "4", "d_model": "512", "n_heads": "8", "d_ff": "1024", "seq_len": "8192"}
    qwen, oss, nemotron, mistral = (
        model_of(row(model=m, **plain))
        for m in ("Qwen3_30B_a3B", "GPT-OSS 120B", "Nemotron4 15B", "Mistral-7B")
    )
    assert qwen.head_norms and not oss.head_norms
    assert oss.gated and oss.positions == "rotary" and oss.vocab == 201088
    assert not nemotron.gated and nemotron.positions == "rotary" and not nemotron.bias
    assert mistral.window == 4096 and not qwen.window


def test_deepseek_predicts_one_token_more_and_its_last_chunk_is_short() -> None:
    one = row(LATENT, **SIZES)
    model = model_of(one)
    assert model.more_predicted == predicts_more(one) == 1
    assert predicts_more(row(framework="NeMo AutoModel (PyTorch FSDP2)")) == 0
    found = with_ends(Layout(global_batch=256, pp=4, vpp=4, dp=64, ep=64), model)
    # Et*4|(t*4|)*14tmL
    counts = found.stage_layers(model)
    assert [counts[s][c] for c in range(4) for s in range(4)] == [4] * 15 + [1]
