"""Peak memory of rows that state it: what a driver shows, not what tensors hold.

A driver counts the segments of the caching allocator, the context and what NCCL holds. Rows of
traced models replay what their first steps allocate (data/steps/*.moves.gz) through the
allocator; rows of a layout ask `fleet.memory`.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean

from suiren.fleet.block import layer
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import Layout
from suiren.fleet.memory import StageMemory, memory_of, peak
from suiren.fleet.model import Model
from suiren.fleet.part import Comm
from suiren.fleet.share import share_of
from suiren.hw.fact import assumed, derived, published
from suiren.hw.spec import Card
from suiren.mapper.caching import CachingAllocator, NoRoom
from suiren.truth import scripts, steps_flagperf, steps_sharded, steps_traced
from suiren.truth.predict import card_of
from suiren.truth.rows import Row
from suiren.truth.steps_layout import framework_of, layout_of
from suiren.truth.steps_model import model_of, number
from suiren.truth.traced import FOLDER
from suiren.truth.unknown import NotPredicted
from suiren.units import GiB, MiB

#: A process that has put one small tensor on a card holds this: context and libraries' kernels.
CONTEXT_BYTES = published(
    1343 * MiB, "Hugging Face, Model training anatomy: 1343 MB after `torch.ones((1, 1))` on a GPU"
)
#: Buffers of one connection that a rank receives on, all three message protocols.
NCCL_CONNECTION_BYTES = derived(
    4 * MiB + 8 * 512 * 8 * 16 + 120 * 640 * 8 * 8,
    "NCCL src/init.cc: Simple 4 MiB; LL 8 lines of 16 B for 512 threads, LL128 120 words of 8 B "
    "for 640 threads, both 8 steps deep",
)
#: Connections that a rank of a node receives on.
NCCL_CONNECTIONS = assumed(
    72, "24 channels between eight A100 behind NVSwitch; a ring's one neighbour, a tree's two"
)
#: Launches that wait for the device at most.
QUEUED_KERNELS = assumed(
    1024, "CUDA's launch calls block when about so many wait: NVIDIA's forum, no documented value"
)
#: Tensors of a step as bytes, and where they are freed.
_MOVE = re.compile(r"([+w-])(?:\{(\d+)([+-]\d+)?\}|(\d+))")


@dataclass(frozen=True, slots=True)
class MemoryPrediction:
    """A row's memory; `predicted_bytes` is None where `status` says why."""

    row: Row
    card: str
    measured_bytes: float
    predicted_bytes: float | None
    status: str = "predicted"

    @property
    def error(self) -> float | None:
        """(predicted − measured) / measured."""
        if self.predicted_bytes is None:
            return None
        return self.predicted_bytes / self.measured_bytes - 1


def measured_bytes(row: Row) -> float | None:
    """The memory that a row states; None if it states none."""
    if "memory" in row.shape.get("measured_metric", "") and row.shape.get("unit") == "GiB":
        return float(row.shape["measured_value"]) * GiB
    stated = row.shape.get("peak_mem_GiB", "")
    return float(stated) * GiB if stated else None


def predict_memory(row: Row, on: str | None = None) -> MemoryPrediction | None:
    """The prediction for a row that states its memory; `on` names another card than its own."""
    measured = measured_bytes(row)
    if measured is None:
        return None
    card = card_of(row.hardware, on)
    if card is None:
        return MemoryPrediction(row, "", measured, None, f"no card is {row.hardware!r}")
    try:
        return MemoryPrediction(row, card.name, measured, memory_bytes(row, card))
    except NotPredicted as reason:
        return MemoryPrediction(row, card.name, measured, None, str(reason))


def memory_bytes(row: Row, card: Card) -> float:
    """Bytes of the part that the row measured; raises NotPredicted with the reason."""
    metric = row.shape.get("measured_metric", "")
    if "activation memory" in metric:
        found = _stages(row, card, 1)[0]
        return found.activations + found.logits
    if "memory" in metric:  # of a GPU, whichever stage it serves
        return fmean(stage.fixed_bytes for stage in _stages(row, card, number(row, "pp")))
    if steps_sharded.covers(row):
        return steps_sharded.memory_bytes(row, card)
    if row.shape.get("pp") and row.shape.get("n_layers"):
        return _fullest_stage(row, card)
    return traced_bytes(row, card)


def _stages(row: Row, card: Card, most: int) -> list[StageMemory]:
    framework, model = framework_of(row), model_of(row)
    layout = layout_of(row, model, card, framework)
    return [memory_of(model, layout, framework, stage) for stage in range(most)]


def _fullest_stage(row: Row, card: Card) -> float:
    """What the driver shows of the card of the stage that needs most."""
    model = model_of(row)
    if steps_flagperf.covers(row):
        framework, layout = MEGATRON_CORE, steps_flagperf.layout_for(row, model, card)
    else:
        framework = framework_of(row)
        layout = layout_of(row, model, card, framework)
    found = peak(model, layout, framework)
    if _is_allocated(row):
        return found.total_bytes - found.workspace - found.fragmentation
    # each group of ranks that meets has buffers of its own
    groups = sum(degree > 1 for degree in (layout.tp, layout.pp, layout.dp * layout.cp))
    beside = float(CONTEXT_BYTES) + groups * float(NCCL_CONNECTION_BYTES) * float(NCCL_CONNECTIONS)
    beside += kept_for_streams(model, layout, framework)
    whole = found.total_bytes - found.workspace
    # an allocator that finds the card full gives back what only it holds
    least = found.total_bytes - found.workspace - found.fragmentation - found.working
    return max(least, min(whole + beside, float(card.memory_bytes)))


def _is_allocated(row: Row) -> bool:
    """Whether a table tells bytes of tensors and no driver's figure.

    Colossal-AI's examples/language/llama/benchmark.py prints `max_memory_allocated`.
    """
    return "colossal" in row.shape.get("framework", "").lower()


def kept_for_streams(model: Model, layout: Layout, framework: Framework) -> float:
    """Bytes of tensor parallel collectives that the allocator may not use again yet.

    c10d records what a collective reads and writes on its own stream, so that the block comes back
    when the device has passed it. A host that runs ahead allocates a new one for every layer that
    it has issued: as many as the queue takes, within one pass of a stage. Around a collective two
    events are recorded and waited for.
    """
    if layout.tp == 1:
        return 0.0
    back = layer(share_of(model, layout, framework)).backward
    moved = [t.size_bytes for t in back if isinstance(t, Comm) and t.group == "tp"]
    launches = len(back) + 4 * len(moved)
    most = max(count for stage in layout.stage_layers(model) for count in stage)
    return sum(moved) * min(float(most), float(QUEUED_KERNELS) / launches)


def traced_bytes(row: Row, card: Card) -> float:
    """What the driver shows of a card during a row of a traced model."""
    model, wide = steps_traced.traced_of(row, card)
    cards = number(row, "n_devices", 1)
    beside = float(CONTEXT_BYTES)
    if cards > 1:  # DDP copies gradients into buckets of its own
        beside += float(NCCL_CONNECTION_BYTES) * float(NCCL_CONNECTIONS)
        beside += scripts.gradient_bytes(model.name, model.params)
    turns = card.chip.vendor == "NVIDIA" and bool(card.chip.matrix)
    turns = turns and (not wide or "tf32" in card.formats())
    batch = steps_traced.batch_of(row)
    return beside + reserved_bytes(model.name, batch, float(card.memory_bytes) - beside, turns)


@lru_cache(maxsize=64)
def reserved_bytes(name: str, batch: int, capacity_bytes: float, turns: bool) -> int:
    """The most that the allocator holds in the first steps of a traced model.

    `turns`: convolutions lay images channels last in a workspace. Where the card is too small
    for the model, what it would have to have. Raises NotPredicted if nothing was traced.
    """
    allocator, addresses = CachingAllocator(capacity_bytes), []

    def take(size_bytes: int) -> int:
        try:
            return allocator.take(size_bytes)
        except NoRoom as lack:
            allocator.capacity_bytes = lack.needed_bytes
            return allocator.take(size_bytes)

    for kind, slope, rest, plain in _MOVE.findall(_moves(name)):
        value = int(plain) if plain else int(slope) * batch + int(rest or 0)
        if kind == "+":
            addresses.append(take(value))
        elif kind == "-":
            allocator.give(addresses[value])
        elif turns:
            allocator.give(take(value))
    return allocator.peak_bytes


@lru_cache(maxsize=16)
def _moves(name: str) -> str:
    try:
        with gzip.open(FOLDER / f"{name}.moves.gz", "rt", encoding="utf-8") as file:
            return file.read()
    except OSError:
        raise NotPredicted(f"what a step of {name} allocates was not traced") from None
