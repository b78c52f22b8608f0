"""Memory of many layouts: `memory.memory_of` for the first, middle and last stage of every row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, Layouts
from suiren.fleet.framework import Framework
from suiren.fleet.known import SHAPE, Known, distinct
from suiren.fleet.memory import FRAGMENTATION, WORKSPACE_BYTES
from suiren.fleet.model import Model
from suiren.fleet.shape import Shape, shape_of
from suiren.fleet.standing import widest

Floats = NDArray[np.float64]
OWNERS = ("weights", "gradients", "optimizer", "activations", "logits", "recomputed",
          "working", "fragmentation", "workspace")  # fmt: skip
_WIDE = [name in ("fp32", "tf32") for name in CODES["precision"]]


def shapes(rows: Layouts, model: Model) -> tuple[list[Shape], NDArray[np.intp]]:
    """The distinct shapes and the place of every row among them."""
    first, place = distinct([getattr(rows, name) for name in SHAPE])
    found = [shape_of(model, *(int(getattr(rows, name)[row]) for name in SHAPE)) for row in first]
    return found, place


def is_wide(rows: Layouts) -> NDArray[np.bool_]:
    """Rows whose weights take four bytes."""
    return np.array(_WIDE)[rows.precision]


def owners_of(rows: Layouts, known: Known, beside: Floats | float = 0.0) -> dict[str, Floats]:
    """Bytes by owner of the stage that needs most, [rows] each; their sum is the peak.

    `beside` as `memory.memory_of` takes it, [rows].
    """
    found = _stages(rows, known, beside)
    # in the order in which StageMemory adds them
    total = found["weights"] + found["gradients"] + found["optimizer"]
    for name in OWNERS[3:]:
        total = total + found[name]
    worst = np.argmax(total, 0)[None]
    return {name: np.take_along_axis(found[name], worst, 0)[0] for name in OWNERS}


def total_of(owners: dict[str, Floats]) -> Floats:
    """The peak of each row."""
    return np.asarray(sum(owners[name] for name in OWNERS))


def _stages(rows: Layouts, known: Known, beside: Floats | float) -> dict[str, Floats]:
    """Bytes by owner, [3 watched stages, rows] each."""
    model, framework = known.job.model, known.job.framework
    found, shape = shapes(rows, model)
    layers = np.stack([one.layers.reshape(3, 4) for one in found], -1)[..., shape]
    kept, share = known.kept(rows)
    mine = kept[:, share]
    alone = (layers * mine[None, :4]).sum(1)
    alone[0] += mine[12]
    watched = np.array([one.watched for one in found]).T[:, shape]
    activations = (alone + _copied(rows, known, watched)) * _in_flight(rows, watched)
    again = np.where(layers > 0, mine[None, 4:8], 0.0).max(1)
    working = np.where(layers > 0, mine[None, 8:12], 0.0).max(1)
    logits, again, working = _at_the_end(rows, watched, mine, again, working, beside)
    working = working + _owed(rows, watched) * (layers * mine[None, 16:20]).sum(1)
    states = _states(rows, known, layers.sum(1), framework, _owed(rows, watched) > 0)
    moving = activations + logits + again + working
    return states | {
        "activations": activations, "logits": logits, "recomputed": again,
        "working": working + _joined(rows, known, states["weights"], watched),
        "fragmentation": float(FRAGMENTATION) * moving,
        "workspace": float(WORKSPACE_BYTES) + _messages(rows, known, watched),
    }  # fmt: skip


def _at_the_end(
    rows: Layouts,
    stage: NDArray[np.int64],
    mine: Floats,
    again: Floats,
    working: Floats,
    beside: Floats | float,
) -> tuple[Floats, Floats, Floats]:
    """`memory.at_the_end` of stages [3, rows]; `mine` as `Known.kept` tells it."""
    is_last = stage == rows.pp - 1
    layers = again + working + beside
    last, more = np.where(rows.pp > 1, mine[15], mine[13]), mine[14]
    is_gpipe = rows.schedule == CODES["schedule"].index("gpipe")
    others = last * np.where(is_gpipe, rows.micro_batches - 1, 0)
    others = others + _owed(rows, stage) * mine[20]
    in_loss = is_last & (last + more >= layers)
    logits = np.where(is_last, others + np.where(in_loss, last, 0.0), 0.0)
    return logits, np.where(in_loss, 0.0, again), np.where(in_loss, more, working)


def _messages(rows: Layouts, known: Known, stage: NDArray[np.int64]) -> Floats:
    """`memory.messages_bytes` of stages [3, rows]."""
    if not known.job.framework.buffers_ahead:
        return np.zeros(stage.shape)
    ways = 2 * rows.vpp - (stage == 0) - (stage == rows.pp - 1)
    split = np.where(rows.sequence_parallel == 1, rows.tp, 1)
    messages = ways * rows.micro_batches
    sent = np.maximum(0.0, messages - _in_flight(rows, stage) * rows.vpp)
    messages = messages + np.where((rows.vpp > 1) | _splits(rows), sent, 0.0)
    return np.where(rows.pp > 1, messages * _stream(rows, known) / split, 0.0)


def _joined(
    rows: Layouts, known: Known, weights: Floats, stage: NDArray[np.int64]
) -> Floats:
    """`standing.joined_bytes` of [3, rows]; `weights` in bytes."""
    model, framework = known.job.model, known.job.framework
    item = np.where(is_wide(rows), 4.0, 2.0)
    joined = np.asarray(np.minimum(item * framework.bucket_params, weights))
    if not framework.keeps_last_gradients:
        return joined
    is_end = (stage == 0) | (stage == rows.pp - 1)
    most = np.where(is_end, widest(model, True), widest(model, False))
    return np.asarray(np.maximum(joined, 4.0 * most / rows.tp))


def _copied(rows: Layouts, known: Known, stage: NDArray[np.int64]) -> Floats:
    """`standing.copied_bytes` of stages [3, rows]."""
    copies = known.job.framework.copied_inputs
    if not copies:
        return np.zeros(stage.shape)
    ends = (stage == 0).astype(np.int64) + (stage == rows.pp - 1)
    model, grain = known.job.model, known.job.framework.vocab_multiple * rows.tp
    vocab = -(-model.vocab // grain) * grain // rows.tp
    tokens = rows.micro_batch * (model.seq // rows.cp)
    older = np.where(stage == rows.pp - 1, 4.0 * tokens * vocab, 0.0)
    found = (copies - ends) * _stream(rows, known) + older
    return np.asarray(np.where(rows.pp > 1, found, 0.0))


def _stream(rows: Layouts, known: Known) -> Floats:
    """Bytes of a message between stages, unsplit over tp."""
    tokens = rows.micro_batch * (known.job.model.seq // rows.cp)
    return np.asarray(np.where(is_wide(rows), 4.0, 2.0) * tokens * known.job.model.d_model)


def _splits(rows: Layouts) -> NDArray[np.bool_]:
    """Rows whose schedule splits the backward pass."""
    return np.asarray(rows.schedule == CODES["schedule"].index("zero-bubble"))


def _owed(rows: Layouts, stage: NDArray[np.int64]) -> NDArray[np.int64]:
    """`memory.owed` of stages [3, rows]."""
    return np.where(_splits(rows), np.minimum(stage, rows.micro_batches - 1), 0)


def _in_flight(rows: Layouts, stage: NDArray[np.int64]) -> Floats:
    """`memory.in_flight` of stages [3, rows]."""
    p, v, m = rows.pp, rows.vpp, rows.micro_batches
    chunked = np.minimum(m * v, (p - stage - 1) * 2 + (v - 1) * p + 1) / v
    plain = np.where(v > 1, chunked, np.minimum(m, p - stage))
    plain = np.where(_splits(rows), np.minimum(m, p), plain)
    return np.where(rows.schedule == CODES["schedule"].index("gpipe"), m, plain)


def _states(
    rows: Layouts, known: Known, layers: NDArray[np.int64], framework: Framework,
    owes: NDArray[np.bool_],
) -> dict[str, Floats]:
    """Weights, gradients and optimizer states, [3, rows] each."""
    weights, place = known.weights(rows)
    dense, experts = weights[:, 0][:, place], weights[:, 1][:, place]
    wide = is_wide(rows)
    item = np.where(wide, 4, 2)
    grad_item = np.where(wide | framework.fp32_gradients, 4, item)
    states = np.where(wide, 8, 12)
    if framework.optimizer == "megatron":
        states = states + np.where(grad_item == 2, 4, 0)
    states = np.where(rows.offload == CODES["offload"].index("optimizer"), 0, states)
    replicas = rows.dp * rows.cp
    apart = np.where(rows.ep > 1, np.maximum(1, replicas * rows.tp // rows.ep), replicas)
    shared, held = dense / replicas + experts / apart, dense + experts
    trained = held
    if framework.accumulate == "frozen":
        trained = framework.adapter_params * layers / rows.tp
        shared, held = trained / replicas, held + trained
    unsummed = np.zeros(owes.shape)
    if framework.keeps_last_gradients:
        unsummed = np.where(wide, 0.0, item * trained)
    elif framework.buffers_ahead and framework.fp32_gradients:
        unsummed = np.where(owes, item * trained, 0.0)
    return {
        "weights": item * np.where(rows.zero == 3, shared, held),
        "gradients": grad_item * np.where(rows.zero >= 2, shared, trained) + unsummed,
        "optimizer": states * np.where(rows.zero > 0, shared, trained),
    }
