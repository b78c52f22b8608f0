"""Rows of traced models: their step's calls stand in data/steps as functions of the batch.

Every distinct call is priced on the row's card; gradients of several cards are reduced while the
backward pass runs; a power limit lowers the clock. Batches are loaded beside the step.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from suiren.fleet.collective import time_collective
from suiren.fleet.cost import NOTHING, Cost, clock_of, lost_to_cores_s, price_of
from suiren.fleet.framework import CALL_S, CALLS_A_KERNEL
from suiren.fleet.place import place_of
from suiren.hw.fact import assumed, derived
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.trace.call import Call, Tensor
from suiren.truth import scripts
from suiren.truth.rows import Row
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import number
from suiren.truth.traced import Traced, traced
from suiren.truth.unknown import NotPredicted

#: Gradients are reduced in pieces of this size, PyTorch's default.
BUCKET_BYTES = 25e6
#: The slowest clock of an engine, as a share of the full one.
LEAST_CLOCK = 0.15
#: What the driver and the libraries hold on a card besides tensors.
CONTEXT_BYTES = assumed(1.3e9, "CUDA context, cuBLAS and cuDNN workspaces, NCCL buffers of a card")
#: Steps that ran for each that was counted.
STEPS_RUN = derived(
    1.01, "run_squad.py of LambdaLabsML/DeepLearningExamples ends once `global_step > max_steps` "
    "and counts max_steps, 100 in pytorch/scripts/config_v1 of lambdal/deeplearning-benchmark"
)  # fmt: skip
#: (a pattern of the row's model, the traced model). The first that matches is taken.
_MODELS = (
    (r"^resnet-?50", "resnet50"), (r"RN50v1\.5", "resnet50"), (r"^vgg-?16", "vgg16"),
    (r"^mobilenet_?v2", "mobilenet_v2"), (r"^vit$", "vit_b16"),
    (r"^vit-base-patch16-224", "vit_b16"), (r"^bert$", "bert_large-pretraining512"),
    (r"bert_base_squad", "bert_base-lambda384"), (r"bert_large_squad", "bert_large-lambda384"),
    (r"bert-large squad", "bert_large-squad384"),
    (r"LanguageModeling/BERT .*(fine-tuning|squad)", "bert_large-squad384"),
)  # fmt: skip
#: Tables that are predicted from traced steps, by what their sources name.
_TABLES = ("FlagPerf", "lambdal/", "ml-energy/zeus", "DeepLearningExamples", "EnflameTechnology",
           "optimum-habana")  # fmt: skip


@dataclass(frozen=True, slots=True)
class TracedStep:
    """A step of a traced model on a card."""

    step_s: float
    work: Cost
    """Forward and backward, with an optimizer that the host issues ahead."""
    late: Cost
    """What is issued after the host waited for the card."""
    exchange_s: float
    """What is left of the reduction of gradients."""
    clock: float
    power_w: float
    peak_bytes: float
    """With what the driver holds."""


def covers(row: Row) -> bool:
    """True for rows of tables whose models are traced, whether this one was or not."""
    of_pytorch = "DLPerf" in row.source and "PyTorch" in row.shape.get("framework", "")
    return row.op == "training step" and (
        _is_fused(row) or of_pytorch or any(table in row.source for table in _TABLES)
    )


def seconds(row: Row, card: Card) -> float:
    """Seconds of a step of one batch a card."""
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> TracedStep:
    """The step of a row; raises NotPredicted with the reason."""
    model, wide = traced_of(row, card)
    batch, cards = batch_of(row), number(row, "n_devices", 1)
    peak = model.peak_fixed_bytes + batch * model.peak_sample_bytes + float(CONTEXT_BYTES)
    # the row ran: only what no framework could have fitted is refused
    if peak > 1.5 * float(card.memory_bytes):
        raise NotPredicted(f"{peak / 2**30:.0f} GiB do not fit the card: its step is another")
    limit = re.search(r"power_limit=(\d+)W", row.notes)
    held = card
    if limit:
        held = replace(card, tdp_w=assumed(float(limit[1]), "the limit that the row states"))
    tf32 = wide and "tf32" in card.formats() and "no tf32" not in row.dtype.lower()
    work, late = _work(model, batch, tf32, _call_s(row, card), Held(card))
    both = work + late
    floor = float(card.pace.voltage_floor)
    clock = clock_of(both, both.device_s, held, least=LEAST_CLOCK)
    work, late = work.at_clock(clock.share, floor), late.at_clock(clock.share, floor)
    exchange_s = _exchange_s(model, row, card, cards, work)
    step_s = work.seconds + exchange_s + max(late.host_s, late.device_s)
    if "lambdal/" in row.source and "squad" in row.text:
        step_s *= float(STEPS_RUN)
    return TracedStep(step_s, work, late, exchange_s, clock.share, clock.power_w, peak)


def _stem(row: Row) -> str | None:
    """The traced model a row means."""
    about = row.text
    if "DeepLearningExamples" in row.source:
        if row.shape.get("framework") != "PyTorch":
            return None
        about = f"{row.text} {row.source} {row.notes}"
    return next((stem for pattern, stem in _MODELS if re.search(pattern, about, re.I)), None)


def traced_of(row: Row, card: Card) -> tuple[Traced, bool]:
    """The traced model in the row's format, and whether that is FP32; raises NotPredicted."""
    if scripts.covers(row):
        return _read(scripts.step_name(row))
    if _stem(row) is None:
        raise NotPredicted(f"no step of {row.text} was traced")
    if _is_fused(row) and card.chip.vendor != "NVIDIA":
        raise NotPredicted("only NVIDIA's submission of this benchmark is known kernel by kernel")
    precision = row.dtype.lower()
    half = re.search(r"\b(amp|fp16|bf16|mixed)\b", precision) is not None
    half = half or _is_fused(row) or "Habana" in row.shape.get("framework", "")
    return _read(f"{_stem(row)}-{'f16' if half else 'f32'}")


def _read(name: str) -> tuple[Traced, bool]:
    try:
        return traced(name), name.endswith("-f32")
    except OSError:
        raise NotPredicted(f"no step of {name} was traced") from None


def batch_of(row: Row) -> int:
    """Samples of a card in a step."""
    batch = number(row, "micro_batch", 0) or scripts.batch_of(row)
    if batch:
        return batch
    total, cards = number(row, "global_batch", 0), number(row, "n_devices", 1)
    if not total or total % cards:
        raise NotPredicted("the row gives no batch")
    return total // cards


def _is_fused(row: Row) -> bool:
    """NVIDIA's MXNet for MLPerf: images channels last, norm, ReLU and sum in one kernel, graphs."""
    return "mlcommons/training_results" in row.source and "resnet" in row.text


@lru_cache(maxsize=4096)
def _work(model: Traced, batch: int, tf32: bool, call_s: float, held: Held) -> tuple[Cost, Cost]:
    """What the host issues ahead of the card, and what it issues after it waited.

    `call_s` is the host's time of an eager call; 0 for graphs with joined kernels.
    """
    half, fused = half_of(held.card), not call_s
    work = _sum(model.calls(batch, tf32, half), fused, held)
    late = _sum(model.late_calls(batch, tf32, half), fused, held)
    return (replace(work, host_s=model.ops * CALLS_A_KERNEL * call_s),
            replace(late, host_s=model.late_ops * call_s))  # fmt: skip


def _call_s(row: Row, card: Card) -> float:
    """The host's time of an eager call; 0 where graphs are launched.

    Lambda's boxes are of 2022 and 2023; optimum-habana records a step and launches it as a whole.
    """
    if _is_fused(row):
        return 0.0
    modern = "lambdal/" in row.source or "optimum-habana" in row.source
    return float(card.host_issue_s if modern else CALL_S)


def half_of(card: Card) -> str:
    """The 16-bit format that scripts take on a card: bfloat16 where nothing multiplies in FP16."""
    return "bf16" if "bf16" in card.formats() and "fp16" not in card.formats() else "f16"


def _sum(calls: Iterable[tuple[int, Call]], fused: bool, held: Held) -> Cost:
    total = NOTHING
    for count, call in calls:
        if any(t.on_host and t.numel > 1 for t in call.inputs()) or (fused and _joins_norm(call)):
            continue
        total = total + _cost(call, held).times(count)
        if not fused:
            for turn in turned(call, held.card):
                total = total + _cost(turn, held).times(count)
    return total


def _cost(call: Call, held: Held) -> Cost:
    found = price_of(call, held.card)
    kind = {"matrix": "matrix_s", "vector": "vector_s"}.get(found.why, "memory_s")
    return Cost(**{kind: found.busy_s}, launch_s=found.launch_s, engine_s=found.engine_s,
                engine_j=found.engine_j, memory_j=found.memory_j,
                flop=sum(found.flop.values()))  # fmt: skip


def _joins_norm(call: Call) -> bool:
    """ReLU and the sum of two branches, which a fused batch norm does on its way."""
    names = ("relu_", "relu", "threshold_backward", "add_", "add")
    return call.name in names and any(len(t.shape) == 4 for t in call.results())


def turned(call: Call, card: Card) -> list[Call]:
    """Kernels that lay images channels last before a convolution on tensor cores, and back.

    PyTorch keeps images channels first unless a script says otherwise; cuDNN's kernels for TF32
    and 16 bits want them last.
    """
    if call.name not in ("convolution", "convolution_backward") or card.chip.vendor != "NVIDIA":
        return []
    image = call.tensor("input")
    wide = image.dtype == "f32" and call.arguments.get("math") is None
    grouped = call.arguments.get("groups") not in (1, None)
    if wide or grouped or not card.chip.matrix or len(image.shape) != 4:
        return []
    moved = [t for t in (*call.inputs(), *call.results())
             if len(t.shape) == 4 and t.shape[0] == image.shape[0]]  # fmt: skip
    plain = [Tensor(t.dtype, t.shape) for t in moved]
    return [Call("aten::clone", {"self": t}, (t,)) for t in plain]


def _exchange_s(model: Traced, row: Row, card: Card, cards: int, work: Cost) -> float:
    """Reduction of gradients: it starts with the backward pass, two thirds of the step."""
    if cards == 1:
        return 0.0
    cluster = cluster_of(row, card)
    place = place_of(range(cards), cluster.cards_per_node)
    size = scripts.gradient_bytes(model.name, model.params)
    whole = time_collective(cluster, "all_reduce", size, place).seconds
    last = time_collective(cluster, "all_reduce", min(size, BUCKET_BYTES), place).seconds
    exposed = max(last, whole - work.device_s * 2 / 3)
    # beside kernels it takes cores from them
    return exposed + lost_to_cores_s(whole - exposed, card)
