"""Rows of steps whose weights are sharded over all ranks: LLM Foundry's MPT on PyTorch FSDP."""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.model import BadModel, Model
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import LLM_FOUNDRY, LLM_FOUNDRY_FLASH, Sharded
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import number
from suiren.truth.unknown import NotPredicted


def covers(row: Row) -> bool:
    """True for rows of this family."""
    framework = row.shape.get("framework", "")
    ours = "PyTorch FSDP" in framework and "AutoModel" not in framework
    return row.op == "training step" and ours


def seconds(row: Row, card: Card) -> float:
    """Seconds of the step."""
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> ShardedStep:
    """The step of a row; raises NotPredicted with the reason."""
    try:
        return sharded_step(model_of(row), layout_of(row), cluster_of(row, card), framework_of(row))
    except (BadLayout, BadModel) as problem:
        raise NotPredicted(str(problem)) from None


def framework_of(row: Row) -> Sharded:
    """Which attention kernel it had, and what its gradients were reduced in.

    Composer's mixed precision PURE reduces in BF16, DEFAULT in FP32.
    """
    triton = "triton" in row.shape.get("attention_impl", "").lower()
    how = LLM_FOUNDRY if triton else LLM_FOUNDRY_FLASH
    return replace(how, reduces_fp32="DEFAULT" in row.shape.get("zero_fsdp", ""))


def layout_of(row: Row) -> Layout:
    """Data parallel over all devices."""
    precision = row.dtype.lower()
    if "bf16" not in precision:
        raise NotPredicted(f"the precision {row.dtype!r} is not predicted")
    ranks = number(row, "n_devices")
    return Layout(
        global_batch=number(row, "global_batch"), micro_batch=number(row, "micro_batch"), dp=ranks,
        zero=2 if "GRAD_OP" in row.shape.get("zero_fsdp", "") else 3,
        recompute="full" if row.shape.get("recompute", "").startswith("full") else "none",
    )  # fmt: skip


def model_of(row: Row) -> Model:
    """MPT: learned positions, no biases, no dropout, an embedding tied to the head."""
    return Model(
        name=row.text, layers=number(row, "n_layers"), d_model=number(row, "d_model"),
        heads=number(row, "n_heads"), kv_heads=number(row, "n_kv_heads", 0),
        d_ff=number(row, "d_ff"), vocab=number(row, "vocab"), seq=number(row, "seq_len"),
        bias=False, dropout=False, attention="flash",
    )  # fmt: skip
