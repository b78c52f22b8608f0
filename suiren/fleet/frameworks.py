"""Frameworks beside Megatron-LM and FSDP, one entry each.

Read for it: DeepSpeed, BigScience's Megatron-DeepSpeed, Colossal-AI, NeMo's launcher. GPT-NeoX,
Alpa, XLA, NeuronX, Paddle and ROCm are stated from general knowledge of these stacks.

DeepSpeed's pipelines, Colossal-AI, XLA on GPUs and Trainium, stacks of AMD and Paddle. An entry
says only what differs from the one it starts from.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.framework import EAGER, MEGATRON_2022, MEGATRON_CORE, MEGATRON_DEEPSPEED
from suiren.fleet.sharded_framework import MAXTEXT
from suiren.hw.fact import assumed, published
from suiren.units import us

#: What one compiled program a step leaves to the host.
_COMPILED = published(0.0, "one compiled program a step: nothing is issued op by op")

#: Megatron-DeepSpeed's pipeline in FP16: `GPTModelPipe` (megatron/model/gpt_model.py of
#: bigscience-workshop/Megatron-DeepSpeed) casts logits to FP32 for the loss; DeepSpeed's stage 1
#: keeps whole FP16 gradients and sums them by `all_reduce` (`allreduce_bucket`,
#: runtime/zero/stage_1_and_2.py); `_exec_forward_pass` (runtime/pipe/engine.py) clones a stage's
#: input, and the buffers hold input and output until the micro-batch's backward pass. Its scripts
#: say `--checkpoint-activations`; GPT-NeoX's configs `checkpoint-activations: true`.
DEEPSPEED_FP16 = replace(
    MEGATRON_DEEPSPEED, name="megatron-deepspeed-fp16",
    title="Megatron-DeepSpeed with pipelines, FP16, 2022", optimizer="megatron", loss="fp32",
    waits=False, vocab_multiple=128, reduces_whole=True, copied_inputs=2,
    bucket_params=500_000_000, recomputes=True, attention_kernel="flash-attention-2",
)  # fmt: skip
#: The same in BF16: `BF16_Optimizer` (runtime/bf16_optimizer.py) holds FP32 sums of all gradients
#: (`fp32_groups_gradients_flat`), sums them in FP32 and frees a micro-batch's own gradients when
#: the next backward pass begins (`clear_lp_grads`).
DEEPSPEED_BF16 = replace(
    DEEPSPEED_FP16, name="megatron-deepspeed-bf16",
    title="Megatron-DeepSpeed with pipelines, BF16, 2022", accumulate="fp32", fp32_gradients=True,
    keeps_last_gradients=True,
)  # fmt: skip
#: GPT-NeoX issues the same kernels through the same engine.
GPT_NEOX_FP16 = replace(DEEPSPEED_FP16, name="gpt-neox-fp16", title="GPT-NeoX, FP16, 2022")
GPT_NEOX_BF16 = replace(DEEPSPEED_BF16, name="gpt-neox-bf16", title="GPT-NeoX, BF16, 2023")
#: examples/language/llama/benchmark.py: transformers' modules in BF16, fused norms, FlashAttention
#: 2, `-g` for checkpoints of layers in its scripts, `--mbs` 1, no accumulation. LowLevelZero
#: (zero/low_level/low_level_optim.py) shares FP32 weights and states, sums gradients whole in stage
#: 1 and in buckets of 12 MiB beside the backward pass.
COLOSSAL = replace(
    EAGER, name="colossal-ai-2024", title="Colossal-AI's hybrid parallel plugin, 2024",
    accumulate="add", optimizer="megatron", written="halves",
    joins_norms=True, host_op_s=assumed(
        12 * us, "eager kernels through Python modules, autograd and dispatcher"),
    reduces_whole=True, overlaps_gradients=True, recomputes=True, accumulates=False,
    attention_kernel="flash-attention-2",
)  # fmt: skip
#: Alibaba's fork of Megatron-LM of 2023: its kernels, FlashAttention, a distributed optimizer.
MEGATRON_LLAMA = replace(
    MEGATRON_2022, name="megatron-llama-2023", title="Megatron-LLaMA, 2023", waits=False,
    attention_kernel="flash-attention-2",
)  # fmt: skip
#: NeMo before Transformer Engine: Megatron's kernels of 2022, apex's fused distributed Adam
#: (launcher_scripts/conf/training/gpt3/*.yaml of NVIDIA/NeMo-Megatron-Launcher).
NEMO_MEGATRON = replace(
    MEGATRON_2022, name="nemo-megatron-2023", title="NeMo Megatron, 2023", waits=False,
    optimizer="fused", overlaps_gradients=True,
)  # fmt: skip
#: XLA on GPUs: elementwise ops join, cuDNN attends (`attention=cudnn_flash_te` in MaxText's and
#: JAX-Toolbox's configurations), collectives run beside kernels, graphs are captured.
XLA_GPU = replace(
    MEGATRON_CORE, name="xla-gpu-2024", title="JAX and XLA on GPUs, 2024", host_op_s=_COMPILED,
    accumulate="add", fp32_gradients=False, optimizer="fused", expert_kernels=False,
    vocab_multiple=0, weighs_early=False, splits_sequence=False, overlaps_tensor=False,
)  # fmt: skip
#: The same with weights sharded over all ranks (`ici_fsdp_parallelism`, `dcn_fsdp_parallelism`).
XLA_SHARDED = replace(MAXTEXT, name="xla-gpu-sharded-2024", title="MaxText on GPUs, sharded, 2024",
                      accumulates=False)  # fmt: skip
#: Alpa: XLA of 2022, attention written out, one micro-batch's gradients added to the last ones'.
ALPA = replace(XLA_GPU, name="alpa-2022", title="Alpa: JAX and XLA, 2022", loss="fp32",
               async_input_gradient=False, blocking_sends=True, softmax_rows=1)  # fmt: skip
#: NeuronX Distributed: XLA's one program, gradients summed in FP32 over ranks that share states.
NEURONX = replace(XLA_GPU, name="neuronx-2024", title="NeuronX Distributed on Trainium, 2024",
                  fp32_gradients=True, accumulate="fp32", blocking_sends=True,
                  splits_sequence=True, overlaps_gradients=False)  # fmt: skip
#: ROCm's Megatron-LM and Primus drive Megatron-Core with Transformer Engine for ROCm, which has no
#: products that exchange meanwhile (`--tp-comm-overlap` is CUDA's).
PRIMUS = replace(MEGATRON_CORE, name="primus-2025", overlaps_tensor=False,
                 title="Megatron-Core with Transformer Engine on ROCm, 2025")  # fmt: skip
PADDLE = replace(
    MEGATRON_CORE, name="paddlenlp-2024", title="PaddleNLP with fleet's hybrid parallel, 2024",
    host_op_s=assumed(20 * us, "fused operators make about one call a kernel"),
    blocking_sends=True, expert_kernels=False, weighs_early=False, overlaps_tensor=False,
)  # fmt: skip
#: PyTorch modules that train: gradients added, an optimizer that updates FP32 weights.
PLAIN = replace(
    EAGER, name="pytorch-training", title="PyTorch modules, eager", accumulate="add",
    optimizer="megatron",
)  # fmt: skip
OTHERS = {
    f.name: f
    for f in (DEEPSPEED_FP16, DEEPSPEED_BF16, GPT_NEOX_FP16, GPT_NEOX_BF16, COLOSSAL,
              MEGATRON_LLAMA, NEMO_MEGATRON, XLA_GPU, ALPA, NEURONX, PRIMUS, PADDLE, PLAIN)
}  # fmt: skip
