"""What a training framework adds: which kernels it fuses, what it overlaps, its host's time an op.

One host overhead a framework and year; everything else says which kernels are issued.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suiren.hw.fact import Fact, assumed
from suiren.units import us


@dataclass(frozen=True, kw_only=True)
class Framework:
    """How a framework issues the work of a step."""

    name: str
    title: str
    host_op_s: Fact
    """Host time for each kernel or collective it issues, Python and autograd included."""
    fused: bool = True
    """Bias, activation, dropout and residual share kernels; masks are part of the softmax."""
    merged_qkv: bool = True
    """Queries, keys and values leave one product."""
    async_input_gradient: bool = False
    """The reduction of an input's gradient runs beside the product of the weight's gradient."""
    accumulate: Literal["add", "fp32", "fused", "none"] = "add"
    """Weight gradients of a micro-batch: added to the last ones' in their own format, added to
    FP32, or accumulated by the product itself."""
    optimizer: Literal["fused", "megatron", "none"] = "megatron"
    """`megatron`: gradients are copied to FP32, checked and clipped by their norm, weights are
    copied back; `fused`: one kernel does all of it."""
    fused_loss: bool = False
    """The cross entropy reads its logits in their own format and keeps no FP32 copy."""
    blocking_sends: bool = True
    """A stage waits for its message to arrive before it goes on."""
    vocab_multiple: int = 128
    """The vocabulary is padded to this times tp."""
    fp32_gradients: bool = False
    """Gradients are kept and reduced in FP32."""


def _host(microseconds: float, why: str) -> Fact:
    return assumed(microseconds * us, why)


_EAGER = "an eager kernel through Python modules, autograd and the dispatcher"
MEGATRON_DEEPSPEED = Framework(
    name="megatron-deepspeed-2022", title="Megatron-DeepSpeed, 2022",
    host_op_s=_host(30, _EAGER), optimizer="fused",
)  # fmt: skip
MEGATRON_2021 = Framework(
    name="megatron-2021", title="Megatron-LM, 2021", host_op_s=_host(20, _EAGER)
)
MEGATRON_2022 = Framework(
    name="megatron-2022", title="Megatron-LM, 2022", host_op_s=_host(20, _EAGER),
    async_input_gradient=True, accumulate="fused", fp32_gradients=True,
)  # fmt: skip
MEGATRON_CORE = Framework(
    name="megatron-core", title="Megatron-Core with Transformer Engine, 2024",
    host_op_s=_host(12, _EAGER + "; fused modules issue fewer Python calls"),
    async_input_gradient=True, accumulate="fused", fp32_gradients=True, fused_loss=True,
    blocking_sends=False,
)  # fmt: skip
MODELLINK = Framework(
    name="modellink-2024", title="ModelLink on Ascend, 2024", host_op_s=_host(20, _EAGER),
    async_input_gradient=True, fp32_gradients=True, accumulate="fp32",
)  # fmt: skip
EAGER = Framework(
    name="pytorch-2023", title="PyTorch modules, 2023", host_op_s=_host(8, _EAGER), fused=False,
    merged_qkv=False, accumulate="none", optimizer="none", vocab_multiple=1,
)  # fmt: skip
FRAMEWORKS = {
    f.name: f
    for f in (MEGATRON_DEEPSPEED, MEGATRON_2021, MEGATRON_2022, MEGATRON_CORE, MODELLINK, EAGER)
}
