"""Rows of steps whose weights are sharded: PyTorch's FSDP and DeepSpeed's ZeRO."""

from __future__ import annotations

import re
from dataclasses import replace

from suiren.fleet.fold import NoNetwork
from suiren.fleet.layout import BadLayout, Layout, check_format
from suiren.fleet.model import BadModel, Model
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.step import StepResult, train_step
from suiren.hw.spec import Card
from suiren.truth import sharded_layout, steps_model
from suiren.truth.rows import Row
from suiren.truth.sharded_kind import is_foundry, kind_of
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import number
from suiren.truth.unknown import NotPredicted


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return kind_of(row) is not None


def seconds(row: Row, card: Card) -> float:
    """Seconds of the step."""
    if "memory" in row.shape.get("measured_metric", ""):
        raise NotPredicted("the row measures memory, not time")
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> ShardedStep | StepResult:
    """The step of a row; raises NotPredicted with the reason."""
    how, model, layout = described(row, card)
    cluster = cluster_of(row, card)
    sharded_layout.check_ranks(layout, number(row, "n_devices", 1))
    try:
        check_format(layout.precision, card)
        if layout.zero > 1:
            return sharded_step(model, layout, cluster, how)
        return train_step(model, layout, cluster, how)
    except (BadLayout, BadModel, NoNetwork) as problem:
        raise NotPredicted(str(problem)) from None


def described(row: Row, card: Card) -> tuple[Sharded, Model, Layout]:
    """Framework, model and layout of a row; raises NotPredicted with the reason."""
    how = kind_of(row)
    if how is None:
        raise NotPredicted("the row says of nothing that ranks share it")
    try:
        if is_foundry(row):
            return how, foundry_model_of(row), foundry_layout_of(row)
        model = model_of(row)
        return how, model, sharded_layout.layout_of(row, model, card, how)
    except (BadLayout, BadModel) as problem:
        raise NotPredicted(str(problem)) from None


def memory_bytes(row: Row, card: Card) -> float:
    """Bytes that PyTorch's allocator holds at its peak (`max_memory_reserved`), as such tables do.

    Where the row says `allocated`, those of tensors alone.
    """
    how, model, layout = described(row, card)
    try:
        layout.check(model)
        found = sharded_layout.peak_of(model, layout, how)
    except BadLayout as problem:
        raise NotPredicted(str(problem)) from None
    tensors = found.total_bytes - found.workspace + how.buffer_bytes - found.fragmentation
    about = f"{row.shape.get('measured_metric', '')} {row.notes}".lower()
    if re.search(r"memory[_ ]allocated|allocated memory|peak[_ ]allocated", about):
        return tensors
    return tensors + found.fragmentation


def model_of(row: Row) -> Model:
    """The model, its attention fused unless the row says that scores are kept."""
    model = steps_model.model_of(row)
    said = row.shape.get("attention_impl", "").lower()
    plain = re.search(r"no flash|\bmath\b|^eager|unfused|naive", said)
    return replace(model, attention="unfused" if plain else "flash", dropout=False)


def foundry_layout_of(row: Row) -> Layout:
    """LLM Foundry's: data parallel over all devices."""
    precision = row.dtype.lower()
    if "bf16" not in precision:
        raise NotPredicted(f"the precision {row.dtype!r} is not predicted")
    ranks = number(row, "n_devices")
    return Layout(
        global_batch=number(row, "global_batch"), micro_batch=number(row, "micro_batch"), dp=ranks,
        zero=2 if "GRAD_OP" in row.shape.get("zero_fsdp", "") else 3,
        recompute="full" if row.shape.get("recompute", "").startswith("full") else "none",
    )  # fmt: skip


def foundry_model_of(row: Row) -> Model:
    """MPT: learned positions, no biases, no dropout, an embedding tied to the head."""
    return Model(
        name=row.text, layers=number(row, "n_layers"), d_model=number(row, "d_model"),
        heads=number(row, "n_heads"), kv_heads=number(row, "n_kv_heads", 0),
        d_ff=number(row, "d_ff"), vocab=number(row, "vocab"), seq=number(row, "seq_len"),
        bias=False, dropout=False, attention="flash",
    )  # fmt: skip
