"""What the templates of a launch fill in, from a model and its layout."""

from __future__ import annotations

from pprint import pformat
from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.weights import layers_before

_HALF = {"fp32": "torch.float32", "tf32": "torch.float32", "fp16": "torch.float16",
         "bf16": "torch.bfloat16", "fp8": "torch.bfloat16"}  # fmt: skip
#: Entries of a configuration that say nothing of the model.
_IDLE = {"transformers_version", "architectures", "dtype", "torch_dtype", "id2label", "label2id",
         "chunk_size_feed_forward", "is_encoder_decoder", "output_attentions", "return_dict",
         "output_hidden_states", "problem_type", "use_cache", "_name_or_path", "bos_token_id",
         "eos_token_id", "pad_token_id", "add_cross_attention", "is_decoder",
         "auto_map"}  # fmt: skip


def values_of(
    model: Model, layout: Layout, config: dict[str, Any] | None, lora_rank: int
) -> dict[str, Any]:
    """What the templates fill in."""
    sharded = layout.zero >= 2
    half = _HALF[layout.precision]
    sp = layout.sequence_parallel and layout.tp > 1
    chunks = [
        [(first, first + count) for first, count in layers_before(model, layout, stage)]
        for stage in range(layout.pp)
    ]
    multi, schedule = _schedule(layout)
    experts = model.experts if config is None else 0
    return {
        "tp": layout.tp, "pp": layout.pp, "cp": layout.cp, "dp": layout.dp, "vpp": layout.vpp,
        "ep": layout.ep if experts else 1, "ranks": layout.ranks, "zero": layout.zero,
        "global_batch": layout.global_batch, "micro_batch": layout.micro_batch,
        "micro_batches": layout.micro_batches, "seq": model.seq, "sp": sp,
        "along": "Shard(1)" if sp else "Replicate()", "sharded": sharded,
        "half": half, "dtype": "torch.float32" if sharded and not lora_rank else half,
        "precision": layout.precision, "recompute": layout.recompute, "lora": lora_rank,
        "offload": layout.offload == "optimizer", "overlap": layout.overlap_gradients,
        "overlap_tensor": layout.overlap_tensor, "chunks": chunks, "schedule": schedule,
        "multi": multi, "planned_schedule": layout.schedule,
        "partial": _partial(layout, model, config, sp), "model": model.name,
        "config": pformat(_config(config, layout), width=96, sort_dicts=False) if config else "",
        "tensor_names": _tensor_names(layout, experts, lora_rank, sp, sharded),
        **_sizes(model, layout, config),
    }  # fmt: skip


def _sizes(model: Model, layout: Layout, config: dict[str, Any] | None) -> dict[str, Any]:
    kv = max(model.groups, layout.tp)
    experts = model.experts if config is None else 0
    tied = bool(config.get("tie_word_embeddings", False)) if config else model.tied
    return {
        "layers": model.layers, "width": model.d_model, "heads": model.heads, "kv_heads": kv,
        "head": model.head, "hidden": model.d_ff, "vocab": padded(model.vocab, layout.tp),
        "experts": experts, "top_k": model.top_k,
        "expert_hidden": model.expert_d_ff or model.d_ff, "shared_hidden": model.shared_d_ff,
        "dense_layers": model.dense_layers, "tied": tied,
        "rms": model.norm == "rms", "rotary": model.positions == "rotary",
        "has_rotary": config is not None or model.positions == "rotary",
        "learned": config is None and model.positions == "learned",
        "bias": model.bias, "dropout": config is None and model.dropout,
        "causal": model.causal, "gated": model.gated, "gqa": kv != model.heads,
    }  # fmt: skip


def padded(vocab: int, tp: int) -> int:
    """The vocabulary, filled up so that tensor parallel ranks hold equal parts of it."""
    return -(-vocab // tp) * tp


def _config(config: dict[str, Any], layout: Layout) -> dict[str, Any]:
    """What of a configuration describes the model, heads and words as the ranks need them."""
    kept = {k: v for k, v in config.items() if k not in _IDLE and v is not None}
    kept["vocab_size"] = padded(int(config["vocab_size"]), layout.tp)
    kept["use_cache"] = False
    groups = int(config.get("num_key_value_heads") or config["num_attention_heads"])
    kept["num_key_value_heads"] = max(groups, layout.tp)
    return kept


def _partial(
    layout: Layout, model: Model, config: dict[str, Any] | None, sp: bool
) -> list[str]:
    """Pieces of names of parameters whose gradients tensor parallel ranks have parts of."""
    if layout.tp == 1:
        return []
    found = []
    if config is not None and config.get("model_type") == "qwen3":
        found += ["q_norm", "k_norm"]
    if config is None and model.experts and (sp or layout.ep == 1):
        found += ["router"]
    if config is None and model.positions == "learned" and sp:
        found += ["embed_positions"]
    return found


def _tensor_names(layout: Layout, experts: int, lora_rank: int, sp: bool, sharded: bool) -> str:
    """What the script imports from torch.distributed.tensor."""
    names = {"DTensor"}
    if sharded:
        names |= {"Shard"}
    if layout.tp > 1:
        names |= {"Replicate", "Shard"}
        if experts and layout.ep == 1:
            names |= {"Partial"}
        if lora_rank:
            names |= {"distribute_tensor"}
    return ", ".join(sorted(names))


def _schedule(layout: Layout) -> tuple[bool, str]:
    """Whether a schedule takes a list of stages, and PyTorch's name for it."""
    if layout.schedule == "zero-bubble":
        return True, "ScheduleInterleavedZeroBubble"
    if layout.vpp > 1:
        return True, "ScheduleInterleaved1F1B"
    return False, "ScheduleGPipe" if layout.schedule == "gpipe" else "Schedule1F1B"
