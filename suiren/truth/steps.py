"""Rows of training tables: whole steps predicted from a model, a layout and a cluster."""

from __future__ import annotations

import re
from dataclasses import replace

from suiren.fleet.block import layer
from suiren.fleet.cost import NOTHING, cost_of
from suiren.fleet.ends import embedding, head
from suiren.fleet.fold import NoNetwork
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.layout import BadLayout, Layout, check_format
from suiren.fleet.model import Model
from suiren.fleet.part import Part
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.share import share_of
from suiren.fleet.step import StepResult, train_step
from suiren.hw.fact import assumed
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.steps_layout import framework_of, layout_of
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import model_of, number
from suiren.truth.unknown import NotPredicted

#: MLPerf's BERT takes the padding out of its sequences of 512: half of all tokens are padding
#: (Krell et al. 2021, Efficient sequence packing without cross-contamination, figure 1). NVIDIA's
#: submission fuses attention and shares the optimizer among ranks (`--distributed_lamb`).
UNPADDED = {"seq_len": "256", "attention_impl": "flash", "zero_fsdp": "distributed optimizer"}
GRAPH_OP_S = assumed(0.0, "NVIDIA's MLPerf BERT launches CUDA graphs (`--use_cuda_graph`)")


def is_unpadded(row: Row) -> bool:
    """True for NVIDIA's BERT of MLPerf: about half of its 512 tokens are real and computed."""
    return "mlcommons/training_results" in row.source and "bert" in row.text


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return row.op == "training step"


def seconds(row: Row, card: Card) -> float:
    """Seconds of the step; of a part of one where the row measured only that."""
    metric = row.shape.get("measured_metric", "")
    if "memory" in metric:
        raise NotPredicted("the row measures memory, not time")
    if "forward" in metric:
        return _passes(row, card)
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> StepResult | ShardedStep:
    """The step of a row; raises NotPredicted with the reason."""
    if is_unpadded(row):
        framework = replace(MEGATRON_CORE, name="mlperf-bert", host_op_s=GRAPH_OP_S)
        row = replace(row, shape={**row.shape, **UNPADDED})
    else:
        framework = framework_of(row)
    model = model_of(row)
    layout = layout_of(row, model, card, framework)
    cluster = cluster_of(row, card)
    if layout.ranks != cluster_ranks(row):
        raise NotPredicted(
            f"tp {layout.tp} x cp {layout.cp} x dp {layout.dp} x pp {layout.pp} are not the "
            f"{cluster_ranks(row)} devices of the row"
        )
    try:
        check_format(layout.precision, card)
        if layout.zero == 3 and isinstance(framework, Sharded):
            return sharded_step(model, layout, cluster, framework)
        return train_step(model, layout, cluster, framework)
    except (BadLayout, NoNetwork) as problem:
        raise NotPredicted(str(problem)) from None


def cluster_ranks(row: Row) -> int:
    """Devices of the row."""
    return int(float(row.shape.get("n_devices", "1")))


def _passes(row: Row, card: Card) -> float:
    """A forward pass, with a backward pass where the row has one; no optimizer."""
    if cluster_ranks(row) > 1:
        return _passes_of_several(row, card)
    framework = framework_of(row)
    model = model_of(row)
    layout = layout_of(row, model, card, framework)
    layout.check(model)
    cluster = cluster_of(row, card)
    if "inference" in row.shape.get("measured_metric", ""):
        model = replace(model, dropout=False)
    backward = "backward" in row.shape.get("measured_metric", "")
    host = float(framework.host_op_s)
    total = NOTHING
    for part, count in _stack(model, layout, framework):
        tasks = part.forward + (part.backward if backward else ())
        total = total + cost_of(tasks, cluster, layout, host).times(count)
    return total.seconds


def _passes_of_several(row: Row, card: Card) -> float:
    """A step of several devices less its optimizer."""
    if "backward" not in row.shape.get("measured_metric", ""):
        raise NotPredicted("forward passes alone of several devices are not predicted")
    told = re.search(r"microbatches=(\d+)", row.notes)
    if told and "micro_batch" not in row.shape:
        each = number(row, "global_batch") // (int(told[1]) * number(row, "dp", 1))
        row = replace(row, shape={**row.shape, "micro_batch": str(each)})
    found = step_of(row, card)
    return found.step_s - found.parts_s["optimizer"]


def _stack(model: Model, layout: Layout, framework: Framework) -> list[tuple[Part, int]]:
    share = share_of(model, layout, framework)
    mixed = sum(model.has_experts(n) for n in range(model.layers))
    parts = [(embedding(share), 1), (layer(share), model.layers - mixed), (head(share), 1)]
    if mixed:
        parts.append((layer(share, True), mixed))
    return parts
