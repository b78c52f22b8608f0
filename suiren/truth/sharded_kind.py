"""Which sharding framework a row means, and what its words change of it."""

from __future__ import annotations

import re
from dataclasses import replace

from suiren.fleet.sharded_framework import LLM_FOUNDRY, LLM_FOUNDRY_FLASH, Sharded
from suiren.fleet.sharded_kinds import (
    FMS_FSDP,
    FOUNDRY_GATED,
    FSDP2,
    LIGHTNING,
    LITGPT,
    TORCHTITAN,
    TORCHTITAN_EAGER,
    TORCHTUNE,
    TRAINER,
    ZERO_2,
    ZERO_3,
    compiled,
    uncompiled,
)
from suiren.truth.rows import Row

#: Frameworks of other families, whose rows may say FSDP too.
_ELSEWHERE = ("automodel", "megatron", "nemo", "maxtext", "jax", "xla", "neuron", "paddle",
              "mindspeed", "modellink", "colossal", "neox", "oneflow", "diffusers", "alpa",
              "primus", "levanter", "easylm", "t5x", "mindspore")  # fmt: skip
#: What a name holds -> the framework; the first that is found.
NAMES: tuple[tuple[str, Sharded], ...] = (
    (r"titan", TORCHTITAN), (r"\bfms\b|fms[-_]?fsdp|foundation-model-stack", FMS_FSDP),
    (r"torchtune", TORCHTUNE), (r"lit-?gpt|lit-?llama|tinyllama", LITGPT),
    (r"composer|foundry|mosaic", FOUNDRY_GATED), (r"lightning|fabric", LIGHTNING),
    (r"accelerate|trainer|transformers|hugging ?face|\bhf\b|\btrl\b|axolotl|llama-?factory"
     r"|optimum", TRAINER),
)  # fmt: skip
#: Of these every run shards, whatever else the row says.
_ALWAYS = ("torchtitan", "fms-fsdp")


def words_of(row: Row) -> str:
    """All that a row says about how it ran."""
    names = ("framework", "zero_fsdp", "attention_impl", "recompute", "precision", "model")
    return " ".join([*(row.shape.get(n, "") for n in names), row.notes]).lower()


def stage_of(row: Row) -> int:
    """What ranks share, from a row's words: 3 weights too, 2 gradients, less where neither."""
    said = f"{row.shape.get('zero_fsdp', '')} {row.shape.get('framework', '')}".lower()
    if re.search(r"grad_op|zero[-_ ]?(stage[-_ ]?)?2", said):
        return 2
    if re.search(r"fsdp|zero[-_ ]?(stage[-_ ]?)?3|full_shard|hsdp|hybrid_shard|sharded", said):
        return 3
    return 1 if re.search(r"zero[-_ ]?(stage[-_ ]?)?1", said) else 0


def kind_of(row: Row) -> Sharded | None:
    """The framework of a row whose ranks share weights or gradients; None for any other row.

    Where nobody described it, PyTorch's modules under FSDP2 stand for it.
    """
    name = row.shape.get("framework", "").lower()
    if row.op != "training step" or any(word in name for word in _ELSEWHERE):
        return None
    stage = stage_of(row)
    if "deepspeed" in words_of(row) and stage >= 2:
        return ZERO_2 if stage == 2 else ZERO_3
    for pattern, found in NAMES:
        if re.search(pattern, name):
            return _as_said(found, row) if stage >= 2 or found.name in _ALWAYS else None
    if stage < 2:
        return None
    if "fsdp" in name:
        return _as_said(FSDP2, row)
    return replace(_as_said(FSDP2, row), stands_for=row.shape.get("framework", "") or "no name")


def _as_said(found: Sharded, row: Row) -> Sharded:
    """The framework with what the row's words change: compiler, attention, sums, formats."""
    words = words_of(row)
    if found is FOUNDRY_GATED:
        found = _foundry(row)
        if is_foundry(row):
            return found
    off = r"(no|without|w/o|un)[- ]?(torch\.)?compil|compile ?[=:]? ?(off|false|none|no\b)"
    plain = f"{row.shape.get('framework', '')} {row.notes}".lower()
    if re.search(off, words) or re.search(r"\beager\b", plain):
        if found.written == "joined":
            found = TORCHTITAN_EAGER if found is TORCHTITAN else uncompiled(found)
    elif re.search(r"compil", words):
        found = compiled(found)
    if re.search(r"cudnn|(flash|fa)[-_ ]?(attention|attn)?[-_ ]?v?3", words):
        found = replace(found, is_before_hopper=False)
    if re.search(r"bf16-true|pure[-_ ]bf16|bf16 (weights|params)", words):
        found = replace(found, weight_bytes=2, state_bytes=4, gradient_bytes=2)
    if re.search(r"reduce[^,;]{0,12}(fp32|float32)", words):
        found = replace(found, reduces_fp32=True)
    elif re.search(r"reduce[^,;]{0,12}bf(loat)?16", words):
        found = replace(found, reduces_fp32=False)
    if re.search(r"row-?wise", words):  # a scale a row, found within the cast; gathered in BF16
        found = replace(found, scaling="block", gathers_fp8=False)
    return found


def is_foundry(row: Row) -> bool:
    """Whether a row is LLM Foundry's MPT."""
    names = f"{row.shape.get('model_family', '')} {row.text}".lower()
    framework = row.shape.get("framework", "").lower()
    return "mpt" in names and bool(re.search(r"composer|foundry|mosaic", framework))


def _foundry(row: Row) -> Sharded:
    """LLM Foundry: which attention kernel it had, and what its gradients were reduced in.

    Composer's mixed precision PURE reduces in BF16, DEFAULT in FP32.
    """
    in_fp32 = "DEFAULT" in row.shape.get("zero_fsdp", "")
    if not is_foundry(row):
        return replace(FOUNDRY_GATED, reduces_fp32=in_fp32)
    triton = "triton" in row.shape.get("attention_impl", "").lower()
    return replace(LLM_FOUNDRY if triton else LLM_FOUNDRY_FLASH, reduces_fp32=in_fp32)
