"""Frameworks that shard weights through PyTorch's FSDP or DeepSpeed's ZeRO, one entry each.

Read for it: PyTorch's `fully_shard`, torchtitan's parallelize and checkpoint policies, fms-fsdp's
policies. The other files beside an entry are where it can be checked; their content is general
knowledge of these frameworks.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.sharded_framework import Sharded
from suiren.hw.fact import Fact, assumed
from suiren.units import us

_EAGER_S: Fact = assumed(12 * us, "eager kernels through Python modules, autograd and dispatcher")
_COMPILED_S: Fact = assumed(6 * us, "a compiled block's kernels follow each other without Python")

#: torch.distributed.fsdp's `fully_shard` on blocks and root; plain modules, FP32 shards that are
#: gathered in BF16 and reduced in FP32 (torch/distributed/fsdp/_fully_shard/_fsdp_api.py,
#: `MixedPrecisionPolicy`); attention is `scaled_dot_product_attention`: FlashAttention-2, and
#: cuDNN's kernel on Blackwell (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp).
FSDP2 = Sharded(
    name="fsdp2", title="PyTorch modules under FSDP2", host_op_s=_EAGER_S, fused=False,
    merged_qkv=False, written="complex", selects="products", accumulate="none", optimizer="fused",
    loss="fp32", vocab_multiple=1, blocking_sends=False, fp32_gradients=True, reduces_fp32=True,
    keeps_root=False, keeps_head=True, attention_kernel="flash-attention-2", on_blackwell=True,
    loss_bytes=12.0,
)  # fmt: skip
#: torchtitan compiles each block and the loss (`apply_compile` in models/llama3/parallelize.py,
#: components/loss.py); `[norm, output]` is a group of its own; AdamW is fused
#: (components/optimizer.py: `implementation = "fused"`). Float8 casts before it gathers.
TORCHTITAN = replace(
    FSDP2, name="torchtitan", title="torchtitan: FSDP2, blocks and loss compiled",
    host_op_s=_COMPILED_S, fused=True, merged_qkv=True, written="joined", loss="fused",
    scaling="current", gathers_fp8=True, loss_bytes=4.0,
)  # fmt: skip
TORCHTITAN_EAGER = replace(
    FSDP2, name="torchtitan-eager", title="torchtitan without torch.compile",
    scaling="current", gathers_fp8=True,
)  # fmt: skip
#: fms_fsdp/policies/mixed_precision.py: `bfSixteen` reduces in BF16; `optim.AdamW` of separate
#: kernels; torch.compile around the whole model; a root that stays gathered (FSDP1).
FMS_FSDP = replace(
    TORCHTITAN, name="fms-fsdp", title="fms-fsdp: FSDP, compiled", reduces_fp32=False,
    optimizer="none", keeps_root=True, gathers_fp8=False, loss="fp32",
    loss_bytes=12.0, keeps_head=False,
)  # fmt: skip
#: transformers' modules and Trainer: norms, positions and gates op by op (models/llama/
#: modeling_llama.py), logits cast to FP32 before the loss (loss/loss_utils.py), gradients added up
#: whole between the steps of an accumulation (`accelerator.no_sync` in trainer.py).
TRAINER = replace(
    FSDP2, name="hf-trainer", title="transformers' Trainer with FSDP", written="halves",
    optimizer="none",
    reduces_fp32=False, sums_whole=True, keeps_root=True, keeps_head=False,
    loss_bytes=16.0,
)  # fmt: skip
#: litgpt: FSDP1 on blocks, compiled, `bf16-mixed` (litgpt/pretrain.py); Lightning's
#: `FSDPPrecision` gathers and reduces in BF16.
LITGPT = replace(
    TORCHTITAN, name="litgpt", title="Lightning's litgpt: FSDP, compiled", reduces_fp32=False,
    keeps_root=True, keeps_head=False, gathers_fp8=False,
)  # fmt: skip
LIGHTNING = replace(
    TRAINER, name="lightning", title="Lightning's Fabric or Trainer with FSDP", written="complex",
    loss_bytes=12.0,
)  # fmt: skip
#: torchtune: weights, gradients and states in BF16 (recipes/configs: `dtype: bf16`), the loss in
#: chunks (`CEWithChunkedOutputLoss`), blocks compiled where `compile: True`.
TORCHTUNE = replace(
    FSDP2, name="torchtune", title="torchtune: FSDP2 in pure BF16", weight_bytes=2, state_bytes=4,
    gradient_bytes=2, reduces_fp32=False, loss_bytes=4.0,
)  # fmt: skip
#: LLM Foundry on Llama-like models: blocks of its own, uncompiled, FlashAttention-2.
FOUNDRY_GATED = replace(
    FSDP2, name="llm-foundry", title="LLM Foundry with PyTorch FSDP", merged_qkv=True,
    written="halves", optimizer="none", reduces_fp32=False, train_metrics=2, keeps_root=True,
    keeps_head=False,
)  # fmt: skip
#: ZeRO-3: BF16 shards beside FP32 ones (`fp32_partitioned_groups_flat` in runtime/zero/stage3.py),
#: gradients reduced in BF16 through buckets of 5e8 elements, two where communication overlaps
#: (`DEFAULT_REDUCE_BUCKET_SIZE`, `overlap_comm` in runtime/zero/config.py); FusedAdam.
ZERO_3 = replace(
    TRAINER, name="deepspeed-zero3", title="DeepSpeed ZeRO-3", optimizer="fused",
    sums_whole=False, weight_bytes=6, gradient_bytes=2, buffer_bytes=2 * 2 * 500_000_000,
    keeps_root=False,
)  # fmt: skip
#: ZeRO-2: all weights stay whole in BF16 (runtime/zero/stage_1_and_2.py).
ZERO_2 = replace(ZERO_3, name="deepspeed-zero2", title="DeepSpeed ZeRO-2", weight_bytes=4)

SHARDED_KINDS = {
    one.name: one
    for one in (FSDP2, TORCHTITAN, TORCHTITAN_EAGER, FMS_FSDP, TRAINER, LITGPT, LIGHTNING,
                TORCHTUNE, FOUNDRY_GATED, ZERO_3, ZERO_2)
}  # fmt: skip


def compiled(how: Sharded) -> Sharded:
    """The framework with blocks and loss that torch.compile joins."""
    if how.written == "joined":
        return how
    return replace(how, name=f"{how.name}-compiled", title=f"{how.title}, compiled", fused=True,
                   host_op_s=_COMPILED_S, merged_qkv=True, written="joined", loss="fused",
                   loss_bytes=4.0)  # fmt: skip


def uncompiled(how: Sharded) -> Sharded:
    """The framework with its modules' own kernels, as PyTorch issues them."""
    if how.written != "joined":
        return how
    return replace(how, name=f"{how.name}-eager", title=f"{how.title}, not compiled",
                   host_op_s=_EAGER_S, fused=False, merged_qkv=False, written="complex",
                   loss="fp32", loss_bytes=FSDP2.loss_bytes)  # fmt: skip
