"""Which traced step a row of FlagPerf's table runs, and what is said where none can be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from suiren.truth import scripts
from suiren.truth.memory import predict_memory
from suiren.truth.predict import predict
from suiren.truth.rows import Row, read_rows
from suiren.truth.steps_traced import batch_of
from suiren.truth.traced import FOLDER, traced
from suiren.truth.unknown import NotPredicted

TABLE = Path(__file__).parents[2] / "data" / "measured" / "train_flagperf.csv.gz"
ROWS = {row.id: row for row in read_rows(TABLE)}


@pytest.mark.parametrize(("row", "name"), [
    ("fp-0036", "bert_hf-f16"), ("fp-0037", "bert_hf-bf16"), ("fp-0045", "cpm-f16"),
    ("fp-0106", "llama2_7b_finetune-f32"), ("fp-0107", "llama2_7b_finetune-f16"),
    ("fp-0157", "t5_small-f32"), ("fp-0169", "vit_eval2-f16"), ("fp-0170", "vit-f16"),
])  # fmt: skip
def test_a_row_names_its_step(row: str, name: str) -> None:
    assert scripts.covers(ROWS[row])
    assert scripts.step_name(ROWS[row]) == name
    assert (FOLDER / f"{name}.txt.gz").exists() and (FOLDER / f"{name}.moves.gz").exists()


@pytest.mark.parametrize(("row", "missing"), [
    ("fp-0049", "COCO"), ("fp-0056", "Criteo"), ("fp-0069", "ReCoRD"), ("fp-0136", "CUDA graphs"),
    ("fp-0148", "TensorFlow"), ("fp-0160", "LJSpeech"), ("fp-0163", "WMT14"),
    ("fp-0166", "cluster of words"),
])  # fmt: skip
def test_a_row_without_a_step_says_what_is_missing(row: str, missing: str) -> None:
    with pytest.raises(NotPredicted, match=missing):
        scripts.step_name(ROWS[row])
    found = predict_memory(ROWS[row])
    assert found is not None and found.predicted_bytes is None
    assert missing in found.status


def test_the_configuration_gives_the_batch_where_the_table_changes_nothing() -> None:
    assert batch_of(ROWS["fp-0073"]) == 4
    assert batch_of(ROWS["fp-0040"]) == 16
    assert batch_of(ROWS["fp-0106"]) == 2
    assert batch_of(ROWS["fp-0107"]) == 4  # the table's own
    with pytest.raises(NotPredicted, match="gives no batch"):
        batch_of(replace(ROWS["fp-0073"], notes=""))


def test_rows_of_other_tables_keep_their_steps() -> None:
    gpt2 = replace(ROWS["fp-0073"], source="elsewhere")
    assert not scripts.covers(gpt2)
    assert scripts.batch_of(gpt2) is None
    assert not scripts.covers(ROWS["fp-0144"])


def test_halves_of_weights_exchange_half() -> None:
    assert scripts.gradient_bytes("cpm-f16", 10) == 20
    assert scripts.gradient_bytes("bert_hf-f16", 10) == 40


def test_a_stride_in_braces_is_no_size() -> None:
    """A gradient that is one number spread over a vector has stride 0, at every batch."""
    spread = [c for _, c in traced("gpt2-f32").calls(5, True) if "{0}" in str(c)]
    assert spread and all("]0" not in str(c) for c in spread)


def time_error(row: Row) -> float:
    found = predict(row)
    assert found.error is not None
    return found.error


@pytest.mark.parametrize("row", ["fp-0039", "fp-0052", "fp-0159", "fp-0171"])
def test_a_step_takes_the_time_of_the_row(row: str) -> None:
    assert abs(time_error(ROWS[row])) < 0.1


def test_one_card_that_never_waits_is_timed_as_its_whole_run() -> None:
    """ViT on one card reads no loss: its whole run, 700 images a second, has longer steps."""
    row = ROWS["fp-0170"]
    assert "p_whole=700" in row.notes
    assert row.measured_s is not None
    assert (1 + time_error(row)) * row.measured_s == pytest.approx(256 / 700, rel=0.05)
