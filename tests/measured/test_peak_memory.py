"""Memory of published rows: nothing was fitted on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from suiren.truth.memory import (
    CONTEXT_BYTES,
    MemoryPrediction,
    measured_bytes,
    predict_memory,
    reserved_bytes,
)
from suiren.truth.rows import Row, read_rows
from suiren.units import GiB

DATA = Path(__file__).parents[2] / "data" / "measured"
#: Predicted lower by 11 to 23 %. On one card BERT, BiT and CPM take 5 to 10 GiB more than with the
#: same batch on eight or sixteen; Swin takes what FP32 would, ViT on eight cards 8 GiB more than on
#: sixteen.
LOW = ("fp-0038", "fp-0042", "fp-0047", "fp-0153", "fp-0154", "fp-0155", "fp-0156", "fp-0169")
#: Sixteen of the sequences that Longformer's script makes do not fit the card that the rows name.
HIGH = ("fp-0126", "fp-0127")
MISSED = (*LOW, *HIGH)


def rows(table: str) -> list[Row]:
    return [r for r in read_rows(DATA / f"{table}.csv.gz") if measured_bytes(r) is not None]


def predicted(table: str, *models: str) -> list[MemoryPrediction]:
    found = [predict_memory(r) for r in rows(table) if not models or r.text in models]
    return [p for p in found if p is not None and p.error is not None]


@pytest.mark.parametrize(("model", "count"), [
    ("resnet50", 6), ("mobilenetv2", 4), ("bert", 3), ("bert_hf", 4), ("bigtransfer", 3),
    ("cpm", 3), ("distilbert", 4), ("efficientnet", 3), ("gpt2", 3), ("llama2_7b_finetune", 2),
    ("t5_small", 3), ("vit", 2),
])  # fmt: skip
def test_what_a_driver_shows_is_within_ten_percent(model: str, count: int) -> None:
    found = [p for p in predicted("train_flagperf", model) if p.row.id not in MISSED]
    assert len(found) == count
    assert [p.row.id for p in found if abs(p.error or 0.0) > 0.1] == []


def test_rows_that_contradict_another_or_their_configuration_are_told_all_the_same() -> None:
    errors = {p.row.id: p.error for p in predicted("train_flagperf") if p.row.id in MISSED}
    assert set(errors) == set(MISSED)
    assert all(-0.25 < (errors[name] or 0.0) < -0.1 for name in LOW)
    assert all((errors[name] or 0.0) > 0.9 for name in HIGH)


def test_most_rows_that_state_memory_are_predicted() -> None:
    found = predicted("train_flagperf")
    assert len(found) == 57
    told = [abs(p.error or 0.0) for p in found if p.row.id not in HIGH]
    assert fmean(told) < 0.06
    assert sum(abs(p.error or 0.0) <= 0.1 for p in found) == 57 - len(MISSED)


def test_analytic_values_of_korthikanti() -> None:
    """Sixteen bars of a figure: activations of the first stage, states of a GPU."""
    found = predicted("train_megatron_lm")
    assert len(found) == 16
    assert max(abs(p.error or 0.0) for p in found) <= 0.1
    assert fmean(abs(p.error or 0.0) for p in found) <= 0.025


def test_layouts_of_a_pipeline_without_tensor_parallel() -> None:
    found = [p for p in predicted("train_flagperf", "llama3_8B") if p.row.shape["tp"] == "1"]
    assert len(found) == 3
    assert fmean(abs(p.error or 0.0) for p in found) <= 0.1


def test_a_row_without_memory_has_no_prediction_and_one_that_lacks_a_batch_says_so() -> None:
    row = rows("train_flagperf")[0]
    stated = {k: v for k, v in row.shape.items() if k != "peak_mem_GiB"}
    assert predict_memory(replace(row, shape=stated)) is None
    resnet = next(r for r in rows("train_flagperf") if r.text == "resnet50")
    shape = {k: v for k, v in resnet.shape.items() if k != "micro_batch"}
    found = predict_memory(replace(resnet, shape=shape, notes=""))
    assert found is not None
    assert found.predicted_bytes is None
    assert found.status == "the row gives no batch"


def test_workspaces_and_batches_cost_memory_and_a_full_card_gives_segments_back() -> None:
    plain = reserved_bytes("resnet50-f32", 32, float("inf"), False)
    turned = reserved_bytes("resnet50-f32", 32, float("inf"), True)
    assert plain < turned < reserved_bytes("resnet50-f32", 64, float("inf"), True)
    tight = reserved_bytes("resnet50-f32", 32, float(plain), True)
    assert tight <= plain
    assert float(CONTEXT_BYTES) < 2 * GiB
