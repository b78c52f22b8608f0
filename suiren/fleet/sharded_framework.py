"""Frameworks that shard weights: their attention kernel, what they reduce in, what they add."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suiren.fleet.ends import optimizer
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.ops import Ops
from suiren.fleet.part import Task
from suiren.fleet.share import Share
from suiren.hw.fact import Fact, assumed, derived, published
from suiren.hw.spec import Card
from suiren.trace.call import Call, Tensor, Value
from suiren.units import us

_FA2 = "FlashAttention-2, Dao 2023, section 4.1, A100"
_FA3 = "FlashAttention-3, Shah et al. 2024, abstract and section 4.1, H100"
#: The operator library's attention stands for the best kernel known on a card.
ONE = published(1.0, "the kernel of the operator library")
TRITON_FORWARD = derived(1.4, f"1.3 to 1.5 times the time of FlashAttention-2; {_FA2}")
TRITON_BACKWARD = published(2.0, f"around 2 times the time of FlashAttention-2; {_FA2}")
#: Kernels without Hopper's asynchronous products, beside one that has them.
BEFORE_HOPPER_FORWARD = derived(1.75, f"1.5 to 2.0 times the time of FlashAttention-3; {_FA3}")
BEFORE_HOPPER_BACKWARD = derived(1.62, f"1.5 to 1.75 times the time of FlashAttention-3; {_FA3}")


@dataclass(frozen=True, kw_only=True)
class Sharded(Framework):
    """A framework whose ranks hold shards of weights, gradients and optimizer states."""

    forward_slowdown: Fact = ONE
    """Time of its attention kernel over the one of the operator library, forward."""
    backward_slowdown: Fact = ONE
    is_before_hopper: bool = False
    """Its attention was written for Ampere's products."""
    gathers_fp8: bool = False
    """Weights that are multiplied in FP8 are cast before they are gathered."""
    reduces_fp32: bool = False
    """Gradients are cast to FP32 before they are reduced."""
    train_metrics: int = 0
    """Losses computed from the logits beside the one that is trained on."""
    lays_gradients_flat: bool = True
    """A block's gradients are laid into one buffer before they are reduced."""
    on_blackwell: bool = False
    """On Blackwell its attention is a kernel written for that chip."""
    sums_whole: bool = False
    """Gradients of a step's micro-batches add up whole on every rank, the last one reduces them."""
    weight_bytes: int = 4
    """Of a weight in the shard that a rank keeps: FP32, from which what is gathered is cast."""
    state_bytes: int = 8
    """Of the optimizer's states for a trained weight."""
    gradient_bytes: int = 4
    """Of a weight's gradient in the shard."""
    buffer_bytes: int = 0
    """Buffers that stand through a step: buckets of gathers and scatters."""
    loss_bytes: float = 0.0
    """Bytes that the loss holds at its peak for each logit; 0 for what its formula keeps."""
    keeps_root: bool = True
    """What stands around the blocks stays gathered until backward, as FSDP's root does."""
    keeps_head: bool = False
    """The head is a group of its own that stays gathered from forward to backward."""
    host_unit_ops: int = 13
    """Kernels and collectives that a gathered block costs the host besides its own."""

    def attention_slowdown(self, card: Card, back: bool) -> float:
        """Time of its attention over the operator library's on a card."""
        factor = float(self.backward_slowdown if back else self.forward_slowdown)
        newer = ("hopper",) if self.on_blackwell else ("hopper", "blackwell")
        if self.is_before_hopper and card.chip.family in newer:
            factor *= float(BEFORE_HOPPER_BACKWARD if back else BEFORE_HOPPER_FORWARD)
        return factor


LLM_FOUNDRY = Sharded(
    name="llm-foundry-2023", title="LLM Foundry with Composer and PyTorch FSDP, 2023",
    host_op_s=assumed(12 * us, "eager kernels through Python modules, autograd and dispatcher"),
    fused=False, accumulate="none", optimizer="none", loss="fused", vocab_multiple=1,
    forward_slowdown=TRITON_FORWARD, backward_slowdown=TRITON_BACKWARD, is_before_hopper=True,
    train_metrics=2,
)  # fmt: skip
LLM_FOUNDRY_FLASH = replace(
    LLM_FOUNDRY, name="llm-foundry-2024", title="LLM Foundry with FlashAttention-2, 2024",
    forward_slowdown=ONE, backward_slowdown=ONE,
)  # fmt: skip


def metrics(share: Share, how: Sharded) -> tuple[Task, ...]:
    """Losses that are only looked at: a log softmax of the logits in FP32 each."""
    ops, rows = share.ops, share.tokens
    logits, wide = ops.tensor(rows, share.vocab), Tensor("f32", (rows, share.vocab))
    one = (ops.call("aten::_to_copy", logits, out=(wide,)),
           ops.call("aten::_log_softmax", wide, out=(wide,)))  # fmt: skip
    return one * how.train_metrics


def flat_gradient(ops: Ops, how: Sharded, params: float) -> tuple[Task, ...]:
    """A block's gradients laid into one buffer, divided, and cast if they are reduced in FP32."""
    if not how.lays_gradients_flat or how.accumulate == "frozen":
        return ()
    n = max(1, round(params))
    flat, full = ops.tensor(n), Tensor("f32", (n,))
    tasks: tuple[Task, ...] = (ops.call("aten::cat", flat, out=(flat,)),)
    if how.reduces_fp32 and ops.dtype != "f32":
        tasks += (ops.call("aten::_to_copy", flat, out=(full,)),)
        flat = full
    return (*tasks, ops.call("aten::div_", flat, out=(flat,)))


def adam(how: Sharded, params: float) -> tuple[Task, ...]:
    """An optimizer on a rank's FP32 shard, its norm clipped first: separate kernels or one.

    Megatron's kernels are those of any rank's weights (`ends.optimizer`).
    """
    if how.optimizer == "megatron":
        return optimizer(how, params, "bf16")
    full = Tensor("f32", (max(1, round(params)),))
    ops = Ops("f32", "f32")
    norm = ops.call("aten::linalg_vector_norm", full, out=(Tensor("f32", ()),))
    scale = ops.call("aten::mul_", full, out=(full,))
    if how.optimizer == "fused":
        names = ("self", "grads", "exp_avgs", "exp_avg_sqs")
        states: dict[str, Value] = dict.fromkeys(names, (full,))
        return (norm, scale, Call("aten::_fused_adamw_", states, ()))
    two = ops.call("aten::add_", full, full, out=(full,))
    three = ops.call("aten::addcdiv_", full, full, full, out=(full,))
    # decay, both moments, the root of the second, the update
    return (norm, scale, scale, scale, two, scale, three, scale, three)


MEGATRON_FSDP = Sharded(
    name="megatron-fsdp-2025", title="Megatron-FSDP with Transformer Engine, 2025",
    host_op_s=MEGATRON_CORE.host_op_s, async_input_gradient=True, accumulate="none", loss="fused",
    weighs_early=True, expert_kernels=True, optimizer="megatron", gathers_fp8=True,
    lays_gradients_flat=False, keeps_root=False,
)  # fmt: skip
AUTOMODEL = Sharded(
    name="automodel-2025", title="NeMo AutoModel: PyTorch FSDP2 with torch.compile, 2025",
    host_op_s=assumed(20 * us, "Transformer Engine's modules make about one call a kernel"),
    accumulate="none", loss="half", optimizer="fused", vocab_multiple=0, weighs_early=True,
    blocking_sends=False, keeps_root=False, splits_sequence=True, overlaps_gradients=True,
    overlaps_tensor=True,
)  # fmt: skip
MAXTEXT = Sharded(
    name="maxtext-2024", title="MaxText on JAX and XLA, 2024",
    host_op_s=published(0.0, "one compiled program a step: nothing is issued op by op"),
    accumulate="none", optimizer="none", loss="fused", vocab_multiple=1, host_unit_ops=0,
    lays_gradients_flat=False,
)  # fmt: skip
PYTORCH = Sharded(
    name="pytorch", title="PyTorch modules with DTensor, FSDP2 and torch's pipelines",
    host_op_s=assumed(5 * us, "the host of `suiren run`: one eager call issued"),
    fused=False, merged_qkv=False, optimizer="fused", blocking_sends=False, vocab_multiple=0,
    fp32_gradients=True, buffers_ahead=True, keeps_root=False,
)  # fmt: skip
