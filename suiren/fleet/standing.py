"""What a rank of a pipeline holds beside weights and the activations of its layers."""

from __future__ import annotations

from suiren.fleet.framework import Framework
from suiren.fleet.layout import Layout
from suiren.fleet.model import Model
from suiren.fleet.share import Share


def copied_bytes(layout: Layout, share: Share, stage: int) -> float:
    """Messages that a micro-batch in flight keeps: what a stage got, and what it has sent.

    Only the loss follows the last stage, and tokens come to the first. The last one holds the
    logits of the micro-batch before, in FP32.
    """
    if layout.pp == 1 or not share.framework.copied_inputs:
        return 0.0
    is_last = stage == layout.pp - 1
    ends = (stage == 0) + is_last
    older = 4.0 * share.tokens * share.vocab if is_last else 0.0
    return (share.framework.copied_inputs - ends) * share.stream_bytes + older


def joined_bytes(
    model: Model, layout: Layout, framework: Framework, stage: int, weights: float
) -> float:
    """What `weights` of a stage are laid together in for a collective, or cast one by one to FP32.

    Freed memory is too torn for so large a piece: it stands beside the peak of the passes.
    """
    joined = (4 if layout.precision in ("fp32", "tf32") else 2) * min(
        float(framework.bucket_params), weights
    )
    if not framework.keeps_last_gradients:
        return joined
    return max(joined, 4.0 * widest(model, stage in (0, layout.pp - 1)) / layout.tp)


def widest(model: Model, at_an_end: bool) -> int:
    """Entries of the largest matrix of a stage, unsplit."""
    layer = max(model.d_model * model.d_ff, 3 * model.d_model * model.d_model)
    return max(layer, model.embedding_params) if at_an_end else layer
