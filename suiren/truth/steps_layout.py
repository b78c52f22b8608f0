"""The layout and the framework that a row of a training table describes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from suiren.fleet.framework import (
    EAGER,
    MEGATRON_2021,
    MEGATRON_2022,
    MEGATRON_CORE,
    Framework,
)
from suiren.fleet.frameworks import OTHERS, XLA_GPU, XLA_SHARDED
from suiren.fleet.layout import Layout, Recompute
from suiren.fleet.memory import peak
from suiren.fleet.model import Model
from suiren.fleet.sharded_framework import AUTOMODEL, Sharded
from suiren.hw.spec import Card
from suiren.truth import steps_bridge
from suiren.truth.named_framework import named, nearest
from suiren.truth.rows import Row
from suiren.truth.steps_model import number
from suiren.truth.unknown import NotPredicted

#: Micro-batch, chunks a stage and overlapped reduction of the runs of SC21's table 1, by width
#: and whether the model is split at all: examples/sc21/run_table_1.sh of Megatron-LM.
_SC21 = {2304: (16, 1, True), 3072: (16, 1, True), 4096: (16, 1, True), 6144: (8, 1, True),
         8192: (4, 1, False), 10240: (2, 3, False), 12288: (2, 2, False), 16384: (1, 2, False),
         20480: (1, 3, False), 25600: (1, 1, False)}  # fmt: skip
#: What MaxText's remat policies that keep products begin with.
_KEEPS = ("mini", "save")
Precision = Literal["fp32", "tf32", "fp16", "bf16", "fp8", "fp4"]


def framework_of(row: Row) -> Framework:
    """The framework; where nobody described it, the nearest one (`Framework.stands_for`)."""
    name = row.shape.get("framework", "").lower()
    if "automodel" in name:
        found: Framework = _automodel(row)
    elif "megatron-bridge" in name:
        shared = zero_of(row.shape.get("zero_fsdp", "").lower())
        of = steps_bridge.shared_framework_of if shared == 3 else steps_bridge.framework_of
        found = of(row)
    else:
        plain = EAGER if "hf transformers" in name else None
        found = named(row) or plain or nearest(row)
        if found is XLA_GPU and zero_of(row.shape.get("zero_fsdp", "").lower()) == 3:
            found = XLA_SHARDED
    if re.search(r"\blora\b", row.notes.lower()):  # latent attention has a q_lora
        return _adapted(found)
    return found


def _automodel(row: Row) -> Sharded:
    """On one card its benchmarks run transformers' modules uncompiled (`force_hf: true`)."""
    if number(row, "n_devices", 1) > 1:
        return AUTOMODEL
    return replace(AUTOMODEL, name=f"{AUTOMODEL.name}-eager", fused=False, merged_qkv=False,
                   written="halves")  # fmt: skip


def _adapted(found: Framework) -> Framework:
    """The framework with frozen weights and adapters of rank 16.

    AutoModel's benchmarks adapt every `*_proj`, `dim: 16`; Megatron-Bridge's recipes of Llama's
    performance runs `linear_qkv` alone.
    """
    return replace(found, name=f"{found.name}-adapters", accumulate="frozen", adapter_rank=16,
                   adapts_all=found.name.startswith(AUTOMODEL.name))  # fmt: skip


def precision_of(row: Row) -> Precision:
    """The format of products."""
    text = row.shape.get("precision", "").lower()
    formats: tuple[tuple[str, Precision], ...] = (
        ("fp4", "fp4"), ("fp8", "fp8"), ("no tf32", "fp32"), ("bf16", "bf16"), ("fp16", "fp16"),
        ("tf32", "tf32"), ("fp32", "fp32"),
    )  # fmt: skip
    for word, found in formats:
        if word in text:
            return found
    raise NotPredicted(f"the precision {row.shape.get('precision', '')!r} names no format")


def zero_of(shared: str) -> int:
    """What ranks share, from a row's words: 1 optimizer states, 2 gradients too, 3 weights too."""
    if "none" in shared:
        return 0
    for words, stage in ((("zero-3", "zero3", "fsdp"), 3), (("zero-2", "zero2"), 2),
                         (("zero-1", "zero1", "distributed"), 1)):  # fmt: skip
        if any(word in shared for word in words):
            return stage
    return 0


def recompute_of(row: Row, framework: Framework) -> Recompute:
    """What is computed again, from a row's words.

    AutoModel's benchmarks say `activation_checkpointing: true` but for those on one card
    (examples/llm_benchmark, examples/benchmark/configs).
    """
    words = row.shape.get("recompute", "").lower()
    if words.startswith("remat_policy"):  # MaxText; what begins with `save` or `minimal` keeps dots
        policy = words.partition("=")[2]
        return "none" if policy == "none" else "selective" if policy[:4] in _KEEPS else "full"
    if not words and framework.recomputes:
        return "full"
    if framework.name.startswith(AUTOMODEL.name) and words.startswith("see "):
        return "full" if number(row, "n_devices", 1) > 1 else "none"
    if words.startswith("selective"):
        # a list of modules without the scores of attention computes none of those again
        return "selective" if ":" not in words or "core_attn" in words else "none"
    return "full" if words.startswith("full") and " x" not in words else "none"


def layout_of(row: Row, model: Model, card: Card, framework: Framework) -> Layout:
    """The layout; raises NotPredicted for what the row leaves open.

    Where `recompute` is not in the published table but assumed by its collector, activations are
    kept if the model fits one card with them and computed again if it does not: a sweep over
    layouts has one setting.
    """
    ranks = number(row, "n_devices", 1)
    tp, pp, cp = number(row, "tp"), number(row, "pp"), number(row, "cp", 1)
    dp = number(row, "dp", ranks // (tp * pp * cp))
    micro, vpp, overlap = number(row, "micro_batch", 0), number(row, "vpp", 1), False
    if framework is MEGATRON_2021 and not micro and model.d_model in _SC21:
        micro, vpp, overlap = _SC21[model.d_model]
    if not micro and framework.name.startswith((MEGATRON_2022.name, MEGATRON_CORE.name)):
        micro = 1  # Megatron-LM's later scaling tables leave it out; large models take one sequence
    if not micro and not framework.accumulates:
        micro = 1 if pp > 1 else number(row, "global_batch") // max(1, dp)
    if not micro:
        raise NotPredicted("the row gives no micro_batch")
    about = f"{row.shape.get('recompute', '')} {row.notes}".lower()
    shared = row.shape.get("zero_fsdp", "").lower()
    zero = zero_of(shared)
    if isinstance(framework, Sharded):
        zero = 3 if pp == 1 and not model.experts else 1
    elif zero > 2:
        raise NotPredicted(f"how {framework.title} shares weights is not known")
    elif framework.keeps_last_gradients:
        zero = max(zero, 1)  # DeepSpeed's BF16 optimizer shares states, whatever stage is asked for
    wide = any(word in about for word in ("sequence parallel", "sequence_parallel=yes",
                                          "sequence_parallel=true"))  # fmt: skip
    together = 0 if framework.accumulates else micro * dp
    layout = Layout(
        global_batch=number(row, "global_batch", together or None), micro_batch=micro, tp=tp, pp=pp,
        vpp=max(1, vpp), cp=cp, ep=number(row, "ep", 1), dp=dp,
        sequence_parallel=tp > 1 and (wide or framework.splits_sequence),
        zero=zero, recompute=recompute_of(row, framework),
        schedule="interleaved" if vpp > 1 else "1f1b", precision=precision_of(row),
        overlap_gradients=overlap or framework.overlaps_gradients or "overlapped" in shared,
        distinct_tokens=steps_bridge.sends_once(row),
        overlap_tensor=framework.overlaps_tensor or "mc2" in about,
    )  # fmt: skip
    layout = steps_bridge.with_ends(layout, model)
    if not row.shape.get("recompute") and (framework.stands_for or framework.name in OTHERS):
        layout = _that_fits(layout, model, card, framework)
    assumed = row.shape.get("assumed_fields", "")
    if "recompute" in assumed and layout.recompute == "full" and not framework.recomputes:
        alone = replace(layout, recompute="none", tp=1, pp=1, vpp=1, dp=1, cp=1,
                        global_batch=layout.micro_batch)  # fmt: skip
        if peak(model, alone, framework).total_bytes <= float(card.memory_bytes):
            return replace(layout, recompute="none")
    return layout


def _that_fits(layout: Layout, model: Model, card: Card, framework: Framework) -> Layout:
    """The layout with as little computed again as fits the card: a run that was measured did.

    Nothing, else attention's scores, else all; no less than the layout has.
    """
    order: tuple[Recompute, ...] = ("none", "selective", "full")
    for how in order[order.index(layout.recompute) :]:
        found = replace(layout, recompute=how)
        if peak(model, found, framework).total_bytes <= float(card.memory_bytes):
            return found
    return layout
