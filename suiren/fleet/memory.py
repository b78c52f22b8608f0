"""What a rank's memory holds at its peak, stage by stage, by owner."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.fleet.block import layer
from suiren.fleet.ends import embedding, head
from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.part import PRODUCTS, Part
from suiren.fleet.share import Share, kept_whole, share_of
from suiren.fleet.standing import copied_bytes, joined_bytes
from suiren.fleet.weights import layers_before, weights_of
from suiren.hw.fact import Fact, assumed
from suiren.trace.call import Call

#: What an allocator cannot use between blocks, as a share of all activations.
FRAGMENTATION: Fact = assumed(
    0.03, "caching allocators round up; equal micro-batches reuse each other's blocks"
)
#: Libraries' own buffers on a rank: products' workspace, collectives' channels, the context.
WORKSPACE_BYTES: Fact = assumed(
    1.0e9, "cuBLAS workspaces of tens of MB, NCCL buffers of hundreds, a context of half a GB"
)


@dataclass(frozen=True, slots=True)
class StageMemory:
    """Bytes of one rank of a stage."""

    stage: int
    weights: float
    gradients: float
    optimizer: float
    activations: float
    """Of all micro-batches in flight."""
    logits: float
    recomputed: float
    """One layer's activations while it is computed again."""
    working: float
    """Tensors of a pass that nothing keeps, at their peak; known of traced parts only."""
    fragmentation: float
    workspace: float
    in_flight: float
    """Micro-batches (chunks of one, as a share) whose activations the schedule keeps."""

    @property
    def total_bytes(self) -> float:
        """Peak of the rank."""
        return (self.fixed_bytes + self.activations + self.logits + self.recomputed
                + self.working + self.fragmentation + self.workspace)  # fmt: skip

    @property
    def fixed_bytes(self) -> float:
        """Weights, gradients and optimizer states."""
        return self.weights + self.gradients + self.optimizer

    def owners(self) -> dict[str, float]:
        """Bytes by owner, the largest first."""
        names = ("weights", "gradients", "optimizer", "activations", "logits", "recomputed",
                 "working", "fragmentation", "workspace")  # fmt: skip
        found = {name: float(getattr(self, name)) for name in names}
        return dict(sorted(found.items(), key=lambda item: -item[1]))


def in_flight(layout: Layout, stage: int) -> float:
    """Micro-batches whose activations a stage keeps at most; parts of one with several chunks."""
    p, v, m = layout.pp, layout.vpp, layout.micro_batches
    if layout.schedule == "gpipe":
        return float(m)
    if layout.schedule == "zero-bubble":
        return float(min(m, p))  # those whose weight gradients are owed are kept too
    if v > 1:
        return min(m * v, (p - stage - 1) * 2 + (v - 1) * p + 1) / v
    return float(min(m, p - stage))


def owed(layout: Layout, stage: int) -> int:
    """Micro-batches whose weight gradients a zero-bubble stage still owes at its peak."""
    return min(stage, layout.micro_batches - 1) if layout.schedule == "zero-bubble" else 0


def results_bytes(part: Part) -> float:
    """Bytes of all products' results of a part: what weight gradients are made of."""
    calls = (t for t in part.forward if isinstance(t, Call) and t.name in PRODUCTS)
    return float(sum(t.bytes for call in calls for t in call.results()))


def memory_of(
    model: Model, layout: Layout, framework: Framework, stage: int, beside: float = 0.0
) -> StageMemory:  # fmt: skip
    """The peak of one rank of a stage.

    `beside`: bytes that stand while layers run backward and not yet in the loss; they decide where
    the peak is and are not counted.
    """
    share = share_of(model, layout, framework)
    weights = weights_of(model, layout, stage)
    wide = layout.precision in ("fp32", "tf32")
    item = 4 if wide else 2
    replicas = layout.dp * layout.cp
    apart = max(1, replicas * layout.tp // layout.ep) if layout.ep > 1 else replicas
    shared = weights.dense / replicas + weights.experts / apart
    states = 8 if wide else 12
    grad_item = 4 if wide or framework.fp32_gradients else item
    trained = weights.all
    if framework.accumulate == "frozen":
        trained = adapters_of(model, layout, framework, stage)
        shared = trained / replicas
    main = 4 if framework.optimizer == "megatron" and grad_item == 2 else 0
    if layout.offload == "optimizer":
        states = main = 0
    kept = in_flight(layout, stage)
    activations, again, working, results = _activations(model, layout, share, stage)
    activations += copied_bytes(layout, share, stage)
    logits, again, working = at_the_end(share, layout, stage, again, working, beside)
    working += owed(layout, stage) * results
    moving = activations * kept + logits + again + working
    unsummed = item * trained if is_unsummed(layout, framework, stage) else 0.0
    held = weights.all + (trained if framework.accumulate == "frozen" else 0.0)
    return StageMemory(
        stage, item * (shared if layout.zero == 3 else held),
        grad_item * (shared if layout.zero >= 2 else trained) + unsummed,
        (states + main) * (shared if layout.zero else trained), activations * kept, logits,
        again, working + joined_bytes(model, layout, framework, stage, weights.all),
        float(FRAGMENTATION) * moving,
        float(WORKSPACE_BYTES) + messages_bytes(layout, share, stage), kept,
    )  # fmt: skip


def messages_bytes(layout: Layout, share: Share, stage: int) -> float:
    """Buffers of a stage for messages from its neighbours, where all are there from the start.

    torch.distributed.pipelining makes one for each chunk, micro-batch and direction.
    """
    if layout.pp == 1 or not share.framework.buffers_ahead:
        return 0.0
    ways = 2 * layout.vpp - (stage == 0) - (stage == layout.pp - 1)
    split = layout.tp if share.sequence_parallel else 1
    messages = float(ways * layout.micro_batches)
    if layout.vpp > 1 or layout.schedule == "zero-bubble":
        # what runs several chunks lets go of what it sent at the end of the step
        messages += max(0.0, messages - in_flight(layout, stage) * layout.vpp)
    return messages * share.stream_bytes / split


def is_unsummed(layout: Layout, framework: Framework, stage: int) -> bool:
    """Whether gradients pass no hook that adds them to their FP32 sums and frees them.

    torch.distributed.pipelining calls none where a schedule splits the backward pass; DeepSpeed's
    BF16 optimizer frees them when the next backward pass begins.
    """
    if framework.keeps_last_gradients:
        return layout.precision not in ("fp32", "tf32")
    return owed(layout, stage) > 0 and framework.buffers_ahead and framework.fp32_gradients


def adapters_of(model: Model, layout: Layout, framework: Framework, stage: int) -> float:
    """Trained weights of one rank of a stage where all others are frozen."""
    layers = sum(count for _, count in layers_before(model, layout, stage))
    return framework.adapter_params * layers / layout.tp


def _activations(
    model: Model, layout: Layout, share: Share, stage: int
) -> tuple[float, float, float, float]:
    """Bytes that a micro-batch keeps, of a layer computed again, a pass, products' results."""
    kept = largest = working = results = 0.0
    for first, count in layers_before(model, layout, stage):
        for n in range(first, first + count):
            cross = n >= model.layers - model.decoder_layers
            one = share if n % layout.recompute_every == 0 else kept_whole(share)
            part = layer(one, model.has_experts(n), cross)
            kept += part.saved_bytes
            working = max(working, part.working_bytes)
            results += results_bytes(part)
            if layout.recompute == "full":
                whole = layer(kept_whole(share), model.has_experts(n), cross)
                largest = max(largest, whole.saved_bytes)
    if stage == 0:
        kept += embedding(share).saved_bytes
    return kept, largest, working, results


def at_the_end(
    share: Share, layout: Layout, stage: int, again: float, working: float, beside: float
) -> tuple[float, float, float]:
    """Logits, a layer computed again and working memory at a stage's peak.

    The loss of a micro-batch is gone before backward comes to the layers, so a last stage has its
    peak in one or in the other. GPipe keeps the losses of all micro-batches, zero-bubble schedules
    the logits' gradients of those that they owe weight gradients.
    """
    if stage < layout.pp - 1:
        return 0.0, again, working
    last, more = last_bytes(share, layout.pp), head(share).working_bytes
    others = last * (layout.micro_batches - 1 if layout.schedule == "gpipe" else 0)
    # the head's weight gradient waits with the gradient of the logits
    others += owed(layout, stage) * share.ops.size(share.tokens, share.vocab)
    if last + more >= again + working + beside:
        return others + last, 0.0, more
    return others, again, working


def last_bytes(share: Share, pp: int) -> float:
    """What the loss of one micro-batch keeps.

    torch.distributed.pipelining holds what its last stage gave until the backward pass, which a
    script without a pipeline has let go; parts by formula count those logits in any case.
    """
    framework = share.framework
    found = head(share).saved_bytes
    if pp > 1 and framework.buffers_ahead and framework.source is not None:
        found += share.ops.size(share.tokens, share.vocab)
    return found


def peak(model: Model, layout: Layout, framework: Framework) -> StageMemory:
    """The stage that needs most."""
    stages = sorted({0, layout.pp // 2, layout.pp - 1})
    return max((memory_of(model, layout, framework, s) for s in stages),
               key=lambda m: m.total_bytes)  # fmt: skip
