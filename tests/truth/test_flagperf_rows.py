"""FlagPerf's Llama-3-8B: step and memory of real rows, and what memory is put together from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suiren.fleet.framework import MEGATRON_CORE
from suiren.truth import steps_flagperf
from suiren.truth.memory import QUEUED_KERNELS, kept_for_streams, predict_memory
from suiren.truth.predict import card_of, predict
from suiren.truth.rows import Row, read_rows
from suiren.truth.steps_model import model_of

TABLE = Path(__file__).parents[2] / "data" / "measured" / "train_flagperf.csv.gz"
ROWS = [r for r in read_rows(TABLE) if steps_flagperf.covers(r) and "tp" in r.shape]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"tp{r.shape['tp']} pp{r.shape['pp']}")
def test_memory_is_within_a_tenth_of_the_drivers(row: Row) -> None:
    found = predict_memory(row)
    assert found is not None and found.error is not None
    assert abs(found.error) < 0.1


@pytest.mark.parametrize("row", ROWS[:1] + ROWS[2:4], ids=lambda r: r.id)
def test_a_step_is_within_a_tenth(row: Row) -> None:
    assert row.measured_s == pytest.approx(512 * 8192 / 8 / float(row.shape["measured_value"]))
    found = predict(row)
    assert found.family == "steps_flagperf"
    assert abs(found.error or 1.0) < 0.1


def test_blocks_come_back_late_for_collectives_alone() -> None:
    row = next(r for r in ROWS if r.shape["tp"] == "8")
    card = card_of(row.hardware, None)
    assert card is not None
    model = model_of(row)
    layout = steps_flagperf.layout_for(row, model, card)
    alone = replace(layout, tp=1, dp=8, sequence_parallel=False)
    assert kept_for_streams(model, alone, MEGATRON_CORE) == 0
    kept = kept_for_streams(model, layout, MEGATRON_CORE)
    # six exchanges of a layer's whole activations, backward
    whole = 6 * 8192 * 4096 * 2
    assert whole < kept < 32 * whole
    assert kept / whole < float(QUEUED_KERNELS) / 24
    shorter = replace(layout, tp=4, pp=2)
    assert kept_for_streams(model, shorter, MEGATRON_CORE) <= 16 * whole
