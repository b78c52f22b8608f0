"""What a training framework adds: which kernels it fuses, what it overlaps, its host's time an op.

One host overhead a framework and year; everything else says which kernels are issued.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from suiren.fleet.source import Source
from suiren.hw.fact import Fact, assumed, derived
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
    is_before_hopper: bool = False
    """Its attention was written for Ampere's products."""
    softmax_rows: int = 1
    """The fused softmax takes only batches times heads that are a multiple of this."""
    merged_qkv: bool = True
    """Queries, keys and values leave one product."""
    written: Literal["joined", "complex", "halves"] = "joined"
    """Norms, rotary positions and gates: a kernel each, or op by op as modules write them that
    nothing compiles, pairs of a head turned as complex numbers (torchtitan) or as two halves that
    are laid together (transformers)."""
    joins_norms: bool = False
    """Norms are a kernel each although `written` says that the rest is not."""
    selects: Literal["scores", "products"] = "scores"
    """What selective recomputation computes again: attention's scores (Megatron), or all but
    attention and every other product (torchtitan's `selective op`)."""
    async_input_gradient: bool = False
    """The reduction of an input's gradient runs beside the product of the weight's gradient."""
    accumulate: Literal["add", "fp32", "fused", "none", "frozen"] = "add"
    """Weight gradients of a micro-batch: added to the last ones' in their own format, added to
    FP32, accumulated by the product itself, or not kept. `frozen`: only adapters are trained, so
    weights have no gradients."""
    optimizer: Literal["fused", "megatron", "none"] = "megatron"
    """`megatron`: gradients are copied to FP32, checked and clipped by their norm, weights are
    copied back; `fused`: one kernel does all of it."""
    loss: Literal["fp32", "half", "fused"] = "fp32"
    """The cross entropy: in FP32, in the logits' own format, or in one kernel forward and one
    backward."""
    scaling: Literal["delayed", "current", "block"] = "delayed"
    """Where FP8's scales come from: earlier steps, the tensor itself, which is read once more for
    its largest magnitude, or each block of it within the cast."""
    weighs_early: bool = False
    """A mixture weights its experts inside their activation, so that their results are not kept
    (Megatron-Core from 0.12 on: `weighted_bias_swiglu_impl` in transformer/moe/experts.py)."""
    expert_kernels: bool = False
    """Products and casts of a mixture are issued expert by expert, on several streams."""
    overlaps_experts: bool = False
    """Exchanges of experts run beside the passes of another micro-batch."""
    attends_narrow: bool = False
    """Attention reads queries, keys and values in FP8 where products do."""
    recomputes_latent: bool = False
    """Products that widen latent queries, keys and values run again before backward."""
    graphs: tuple[str, ...] = ()
    """What the host launches as one: `attn`, `router`, `mlp`, or `all`, the whole step."""
    waits: bool = False
    """The host waits for the device at the end of every pass."""
    blocking_sends: bool = True
    """A stage waits for its message to arrive before it goes on."""
    vocab_multiple: int = 128
    """The vocabulary is padded to a multiple of this times tp; 0 for no padding."""
    fp32_gradients: bool = False
    """Gradients are kept and reduced in FP32."""
    recomputes: bool = False
    """Every layer is computed again before its backward pass unless a row says otherwise."""
    accumulates: bool = True
    """A step may take several micro-batches; else a rank's whole batch is one, without stages."""
    splits_sequence: bool = False
    """Tensor parallel ranks split the tokens of norms and residuals, said or not."""
    overlaps_gradients: bool = False
    """Gradients are reduced beside the last backward pass."""
    overlaps_tensor: bool = False
    """Exchanges of tensor parallel ranks run beside the products that need them."""
    reduces_whole: bool = False
    """Gradients are summed by an all-reduce although ranks share the optimizer's states."""
    keeps_last_gradients: bool = False
    """Gradients of the last micro-batch stand beside their FP32 sums until the next backward."""
    bucket_params: int = 0
    """Weights or gradients that a step's end lays together for a collective at once."""
    copied_inputs: int = 0
    """Messages of a pipeline that a micro-batch in flight keeps beside its layers' inputs."""
    buffers_ahead: bool = False
    """A pipeline's stages hold buffers for the messages of all micro-batches of a step."""
    adapter_rank: int = 0
    """Width of the adapters that parts by formula issue beside linear layers; 0 for none."""
    adapts_all: bool = True
    """Every linear layer of a block has an adapter; else queries, keys and values alone."""
    adapter_params: float = 0.0
    """Weights of adapters in a layer of the whole model, where all others are frozen."""
    source: Source | None = None
    """Parts traced from real modules; without it they are listed by formula."""
    stands_for: str = ""
    """A framework that nobody described, for which this one is taken."""

    @property
    def other_rank(self) -> int:
        """Width of the adapters of linear layers other than queries, keys and values."""
        return self.adapter_rank if self.adapts_all else 0

    def told(self) -> dict[str, str]:
        """What an answer says of a framework that stands for another."""
        if not self.stands_for:
            return {}
        return {"framework": f"{self.title} stands for {self.stands_for}, which nobody described"}

    @property
    def needed_share(self) -> float:
        """Part of a model's FLOP that a step needs: frozen weights have no gradients of their own.

        Forward, gradients of activations and gradients of weights are a third each.
        """
        return 2 / 3 if self.accumulate == "frozen" else 1.0


#: Host time of one eager ATen call where an A100 was measured: 26.4 µs between two events
#: (truth/eager.py, `fit` rows of NeuSight), less about 5 µs of an event's own record.
CALL_S = 21.4 * us
#: ATen calls for a kernel of plain modules.
CALLS_A_KERNEL = 2.0


def _host(calls: float, why: str) -> Fact:
    """Host time a kernel: so many ATen calls, views included, are made for each."""
    return derived(calls * CALL_S, f"{calls:g} ATen calls a kernel x 21.4 µs: {why}")


#: `is_kernel_available` in megatron/model/fused_softmax.py: batches times heads of a rank must be
#: a multiple of 4.
_SOFTMAX_ROWS = 4
#: The timers around the passes call `torch.cuda.synchronize` (megatron/global_vars.py and
#: megatron/timers.py, `forward-compute` and `backward-compute` in megatron/schedules.py).
_TIMED = True
_LAYER = "counted on a Megatron layer, forward and backward: 147 calls for 44 kernels"
MEGATRON_DEEPSPEED = Framework(
    name="megatron-deepspeed-2022", title="Megatron-DeepSpeed, 2022",
    host_op_s=_host(3.3, _LAYER), optimizer="fused", loss="half", vocab_multiple=0,
    softmax_rows=_SOFTMAX_ROWS, waits=_TIMED,
)  # fmt: skip
MEGATRON_2021 = Framework(
    name="megatron-2021", title="Megatron-LM, 2021", host_op_s=_host(3.3, _LAYER),
    softmax_rows=_SOFTMAX_ROWS, waits=_TIMED,
)  # fmt: skip
MEGATRON_2022 = Framework(
    name="megatron-2022", title="Megatron-LM, 2022", host_op_s=_host(3.3, _LAYER),
    async_input_gradient=True, accumulate="fused", fp32_gradients=True,
    softmax_rows=_SOFTMAX_ROWS, waits=_TIMED,
)  # fmt: skip
MEGATRON_CORE = Framework(
    name="megatron-core", title="Megatron-Core with Transformer Engine, 2024",
    host_op_s=assumed(20 * us, "Transformer Engine's modules make about one call a kernel"),
    async_input_gradient=True, accumulate="fused", fp32_gradients=True, loss="fused",
    blocking_sends=False, weighs_early=True, softmax_rows=_SOFTMAX_ROWS, expert_kernels=True,
    splits_sequence=True, overlaps_gradients=True, overlaps_tensor=True,
)  # fmt: skip
MODELLINK = Framework(
    name="modellink-2024", title="ModelLink on Ascend, 2024",
    host_op_s=assumed(20 * us, "fused operators make about one call a kernel"),
    async_input_gradient=True, fp32_gradients=True, accumulate="fp32",
)  # fmt: skip
ONEFLOW = Framework(
    name="oneflow-2021", title="OneFlow, 2021", overlaps_gradients=True,
    host_op_s=assumed(5 * us, "a static graph is issued from C++"),
)  # fmt: skip
EAGER = Framework(
    name="pytorch-2023", title="PyTorch modules, 2023",
    host_op_s=_host(CALLS_A_KERNEL, "linear layers, views and transposes around each kernel"),
    fused=False, merged_qkv=False, accumulate="none", optimizer="none", vocab_multiple=0,
)  # fmt: skip
FRAMEWORKS = {
    f.name: f
    for f in (
        MEGATRON_DEEPSPEED,
        MEGATRON_2021,
        MEGATRON_2022,
        MEGATRON_CORE,
        MODELLINK,
        ONEFLOW,
        EAGER,
    )
}
