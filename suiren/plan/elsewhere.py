"""The same layout in torchtitan's and Megatron-LM's own words, and what they have no word for."""

from __future__ import annotations

from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster

#: PyTorch's schedules as torchtitan names them.
_SCHEDULES = {"1f1b": "1F1B", "gpipe": "GPipe", "interleaved": "Interleaved1F1B",
              "zero-bubble": "InterleavedZeroBubble"}  # fmt: skip
#: torchtitan's models by the architecture of a transformers configuration.
_TITAN = {"llama": "llama3", "llama4": "llama4", "qwen3": "qwen3", "qwen3_moe": "qwen3",
          "deepseek_v3": "deepseek_v3"}  # fmt: skip


def elsewhere(
    model: Model, layout: Layout, cluster: Cluster, config: dict[str, Any] | None, lora_rank: int
) -> dict[str, Any]:
    """What the templates of `torchtitan.toml` and `megatron.sh` fill in."""
    kind = str((config or {}).get("model_type", ""))
    cards = min(cluster.cards_per_node, layout.ranks)
    return {
        "cards": cards, "nodes": -(-layout.ranks // cards), "groups": model.groups,
        "planned_vocab": model.vocab, "planned_experts": model.experts, "planned_ep": layout.ep,
        "planned_dropout": model.dropout, "positions": model.positions,
        "attention": model.attention, "latent": bool(model.kv_rank), "kv_rank": model.kv_rank,
        "q_rank": model.q_rank, "rotary_dim": model.rotary_dim, "value_head": model.value_head,
        "qkv_bias": kind == "qwen2", "first_stage_layers": layout.first_stage_layers,
        "last_stage_layers": layout.last_stage_layers,
        "titan_name": _titan_name(model, kind),
        "titan_schedule": "Interleaved1F1B" if layout.vpp > 1 else _SCHEDULES[layout.schedule],
        "torchtitan_notes": _torchtitan_lacks(model, layout, kind, lora_rank),
        "megatron_notes": _megatron_lacks(layout, lora_rank),
    }  # fmt: skip


def _titan_name(model: Model, kind: str) -> str:
    if model.kv_rank:
        return "deepseek_v3"
    return _TITAN.get(kind, "qwen3" if model.experts else "llama3")


def _torchtitan_lacks(model: Model, layout: Layout, kind: str, lora_rank: int) -> list[str]:
    said = (
        (layout.zero == 1,
         "it has no ZeRO 1: ZeRO 2, weights whole from forward to backward, is nearest"),
        (layout.zero == 0 and layout.tp * layout.pp * layout.cp > 1,
         "whole copies (zero 0) it takes beside no other split"),
        (layout.tp > 1 and not layout.sequence_parallel,
         "its tensor parallel layers are always sequence parallel"),
        (layout.offload == "optimizer", "offloading takes weights and gradients to the host too"),
        (layout.precision == "fp16", "it has no FP16: BF16 stands in its place"),
        (bool(lora_rank), f"adapters of rank {lora_rank} are not part of it"),
        (kind not in _TITAN and not (not kind and model.gated and model.positions == "rotary"),
         f"it has no model of this kind: {_titan_name(model, kind)} is the nearest"),
        (bool(layout.first_stage_layers or layout.last_stage_layers),
         "stages of other lengths are given by module_fqns_per_model_part"),
    )  # fmt: skip
    return [sentence for holds, sentence in said if holds]


def _megatron_lacks(layout: Layout, lora_rank: int) -> list[str]:
    said = (
        (layout.schedule == "zero-bubble",
         "it has no zero-bubble schedule: 1F1B stands in its place"),
        (layout.schedule == "gpipe", "it has no GPipe schedule: 1F1B stands in its place"),
        (bool(lora_rank), f"adapters of rank {lora_rank} are not among its arguments"),
        (layout.precision in ("fp32", "tf32"), "products are TF32 where the card has it"),
    )  # fmt: skip
    return [sentence for holds, sentence in said if holds]
