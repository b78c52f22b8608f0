"""Rows of FlagPerf's Llama-3-8B under Megatron-Core: its script gives what its table leaves out.

training/benchmarks/llama3_8B/megatron/pretrain_llama3.sh: `--global-batch-size 512
--micro-batch-size 1 --sequence-parallel --use-distributed-optimizer --use-flash-attn`, and neither
`--overlap-grad-reduce` nor `--tp-comm-overlap`.
"""

from __future__ import annotations

from dataclasses import replace

from suiren.fleet.framework import MEGATRON_CORE
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.model import Model
from suiren.fleet.step import StepResult, train_step
from suiren.hw.spec import Card
from suiren.truth.rows import Row
from suiren.truth.steps_layout import layout_of
from suiren.truth.steps_machine import cluster_of
from suiren.truth.steps_model import model_of
from suiren.truth.unknown import NotPredicted

#: Sequences of a step (`whole_tps = 512 * 8192 / time_per_step` in run_pretraining.py).
SEQUENCES = 512


def covers(row: Row) -> bool:
    """True for rows of this family."""
    return row.op == "training step" and "llama3_8B-megatron" in row.source


def seconds(row: Row, card: Card) -> float:
    """Seconds of the step."""
    return step_of(row, card).step_s


def step_of(row: Row, card: Card) -> StepResult:
    """The step of a row; raises NotPredicted with the reason."""
    model = model_of(row)
    return train_step(model, layout_for(row, model, card), cluster_of(row, card), MEGATRON_CORE)


def layout_for(row: Row, model: Model, card: Card) -> Layout:
    """The layout of the row with the script's settings; raises NotPredicted where none can be."""
    whole = replace(row, shape={**row.shape, "global_batch": str(SEQUENCES)})
    found = layout_of(whole, model, card, MEGATRON_CORE)
    again = "recompute-activations" in row.shape.get("attention_impl", "")
    found = replace(found, zero=1, overlap_gradients=False, overlap_tensor=False,
                    recompute="selective" if again else "none")  # fmt: skip
    try:
        found.check(model)
    except BadLayout as problem:
        raise NotPredicted(str(problem)) from None
    return found
