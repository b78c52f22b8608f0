"""The same layout in torchtitan's and Megatron-LM's own words, and what they have no word for."""

from __future__ import annotations

from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster

#: What the files were checked against.
TORCHTITAN, MEGATRON = "0.2.2", "000c4ac24f61"
#: torchtitan's models by the architecture of a transformers configuration.
_TITAN = {"llama": "llama3", "llama4": "llama4", "qwen3": "qwen3", "qwen3_moe": "qwen3",
          "deepseek_v3": "deepseek_v3"}  # fmt: skip


def elsewhere(
    model: Model, layout: Layout, cluster: Cluster, config: dict[str, Any] | None, lora_rank: int
) -> dict[str, Any]:
    """What the templates of `torchtitan.toml` and `megatron.sh` fill in."""
    kind = str((config or {}).get("model_type", ""))
    cards = min(cluster.cards_per_node, layout.ranks)
    copies = layout.dp if layout.zero == 0 and not _is_split(layout) else 1
    return {
        "torchtitan": TORCHTITAN, "megatron": MEGATRON, "titan_copies": copies,
        "titan_shards": layout.dp // copies, "titan_is_plain": _is_plain(layout),
        "titan_per_stage": _per_stage(model, layout), "megatron_stages": _stages(model, layout),
        "megatron_sp": layout.tp > 1 and (layout.sequence_parallel or model.experts > 0),
        "cards": cards, "nodes": -(-layout.ranks // cards), "groups": model.groups,
        "planned_vocab": model.vocab, "planned_experts": model.experts, "planned_ep": layout.ep,
        "planned_dropout": model.dropout, "positions": model.positions,
        "attention": model.attention, "latent": bool(model.kv_rank), "kv_rank": model.kv_rank,
        "q_rank": model.q_rank, "rotary_dim": model.rotary_dim, "value_head": model.value_head,
        "qkv_bias": kind == "qwen2",
        "titan_name": _titan_name(model, kind), "titan_schedule": _schedule(layout),
        "torchtitan_notes": _torchtitan_lacks(model, layout, kind, lora_rank),
        "megatron_notes": _megatron_lacks(model, layout, lora_rank),
    }  # fmt: skip


def _titan_name(model: Model, kind: str) -> str:
    if model.kv_rank:
        return "deepseek_v3"
    return _TITAN.get(kind, "qwen3" if model.experts else "llama3")


def _is_split(layout: Layout) -> bool:
    """Whether a copy of the model spreads over cards."""
    return layout.tp * layout.pp * layout.cp * layout.ep > 1


def _is_plain(layout: Layout) -> bool:
    """Whether no ranks of torchtitan shard weights, which alone cast them to half precision."""
    return layout.dp * layout.cp == 1 and _is_split(layout)


def _schedule(layout: Layout) -> str:
    """PyTorch's name of a schedule that torchtitan takes with that many chunks a stage."""
    if layout.vpp > 1:
        return "InterleavedZeroBubble" if layout.schedule == "zero-bubble" else "Interleaved1F1B"
    return "GPipe" if layout.schedule == "gpipe" else "1F1B"


def _per_stage(model: Model, layout: Layout) -> int:
    """Layers of a chunk that make torchtitan cut as many as there are; 0 where it does so itself.

    It makes one chunk a stage, two with interleaved schedules, and other numbers from the layers
    of a chunk, rounded up (`distributed/pipeline_parallel.py`).
    """
    if layout.vpp <= 2:
        return 0
    chunks = layout.pp * layout.vpp
    layers = -(-model.layers // chunks)
    return layers if -(-model.layers // layers) == chunks else 0


def _stages(model: Model, layout: Layout) -> str:
    """Megatron's picture of chunks that hold unequal numbers of layers; empty for equal ones."""
    held = layout.stage_layers(model)
    counts = [held[stage][chunk] for chunk in range(layout.vpp) for stage in range(layout.pp)]
    if len(set(counts)) == 1:
        return ""
    return "E" + "|".join(f"t*{count}" for count in counts) + "L"


def _torchtitan_lacks(model: Model, layout: Layout, kind: str, lora_rank: int) -> list[str]:
    said = (
        (layout.zero == 1,
         "it has no ZeRO 1: ZeRO 2, weights whole from forward to backward, is nearest"),
        (layout.zero == 0 and layout.dp > 1 and _is_split(layout),
         "whole copies (zero 0) it takes beside no other split: ZeRO 2 is nearest"),
        (_is_plain(layout) and layout.precision not in ("fp32", "tf32"),
         "without data parallel ranks it multiplies in the weights' format, so that weights and "
         "optimizer are BF16 here"),
        (layout.schedule == "zero-bubble" and layout.vpp == 1,
         "its zero-bubble schedules take two chunks a stage or more: 1F1B stands in their place"),
        (layout.vpp > 2 and not _per_stage(model, layout),
         f"it cannot cut {model.layers} layers into {layout.pp * layout.vpp} chunks by itself: "
         "module_fqns_per_model_part gives them"),
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


def _megatron_lacks(model: Model, layout: Layout, lora_rank: int) -> list[str]:
    said = (
        (layout.schedule == "zero-bubble",
         "it has no zero-bubble schedule: 1F1B stands in its place"),
        (layout.schedule == "gpipe", "it has no GPipe schedule: 1F1B stands in its place"),
        (bool(lora_rank), f"adapters of rank {lora_rank} are not among its arguments"),
        (model.experts > 0 and layout.tp > 1 and not layout.sequence_parallel,
         "it trains mixtures with tensor parallel ranks with sequence parallelism only"),
        (model.experts > 0 and layout.ep > 1 and layout.precision == "fp16",
         "it has no expert parallelism in FP16: BF16 stands in its place"),
        (layout.offload == "optimizer" and not layout.zero,
         "it offloads an optimizer whose states are shared over data parallel ranks (ZeRO 1) only"),
        (layout.precision in ("fp32", "tf32"), "products are TF32 where the card has it"),
    )  # fmt: skip
    return [sentence for holds, sentence in said if holds]
