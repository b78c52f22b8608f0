"""What a rank holds at its peak where weights are sharded."""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.ends import head
from suiren.fleet.layout import Layout
from suiren.fleet.memory import StageMemory, adapters_of, memory_of
from suiren.fleet.model import Model
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.share import share_of

#: Gathered blocks that may stand in memory: the limiter holds the next gather until one is freed.
GATHERED_AHEAD = 2


def trained_of(model: Model, layout: Layout, how: Sharded) -> float:
    """Weights that a rank's optimizer updates."""
    if how.accumulate == "frozen":
        return adapters_of(model, layout, how, 0) / layout.shards
    return model.params / layout.shards / layout.tp


def sharded_memory(model: Model, layout: Layout, how: Sharded, block: float) -> StageMemory:
    """A rank's peak: its shards, and besides them the blocks that stand gathered.

    `block`: weights of one block, unsplit.
    """
    item = item_bytes(layout)
    root = model.params - model.layers * model.layer_params()
    in_loss, in_layers = gathered(layout, how, model.params, block, root)
    if how.keeps_head and layout.zero == 3:
        in_loss += item * model.embedding_params / layout.tp
    gradient = block * (4 if how.reduces_fp32 else item) / layout.tp
    share = share_of(model, layout, how)
    loss = how.loss_bytes * share.tokens * share.vocab
    # the loss decides with what it really holds where the peak is
    more = loss - head(share).saved_bytes if loss else 0.0
    held = memory_of(model, layout, how, 0, in_layers - in_loss + gradient - more)
    is_in_loss = held.logits > 0
    # what is gathered is cast from the shards: they stay where moments are offloaded; gradients
    # add up in the shards beside one whole block
    shard, trained = model.params / layout.shards / layout.tp, trained_of(model, layout, how)
    moments = 0.0 if layout.offload == "optimizer" else how.state_bytes * trained
    if is_in_loss and layout.micro_batches == 1:
        trained_bytes = 0.0  # the loss comes before the step's only gradients
    else:
        trained_bytes = how.gradient_bytes * trained
    logits, whole = held.logits, 0.0
    if is_in_loss and loss:
        logits = loss
    if how.sums_whole and layout.micro_batches > 1:
        whole = item * model.params / layout.tp
    return replace(
        held, weights=in_loss if is_in_loss else in_layers,
        optimizer=how.weight_bytes * shard + moments,
        gradients=trained_bytes + whole + (0.0 if is_in_loss else gradient), logits=logits,
        workspace=held.workspace + how.buffer_bytes,
    )  # fmt: skip


def item_bytes(layout: Layout) -> int:
    """Bytes of a gathered weight."""
    return 4 if layout.precision in ("fp32", "tf32") else 2


def gathered(
    layout: Layout, how: Sharded, params: float, block: float, root: float
) -> tuple[float, float]:
    """Bytes of gathered weights in the loss and while layers run backward.

    Of all `params`, those of a `block` and of the `root` around the blocks.
    """
    item = item_bytes(layout) / layout.tp
    if layout.zero == 2:
        return params * item, params * item
    return root * item * how.keeps_root, (GATHERED_AHEAD * block + root) * item
