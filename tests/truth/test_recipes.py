"""Recipes: what a table's repository states fills what its rows leave out."""

from __future__ import annotations

from pathlib import Path

from suiren.truth.predict import predict
from suiren.truth.recipes import filled
from suiren.truth.rows import read_rows

DATA = Path(__file__).parents[2] / "data" / "measured"
ROW = {"source": "github.com/NVIDIA/NeMo-Megatron-Launcher README.md", "model": "gpt3-5b",
       "n_devices": "160", "n_layers": "24"}  # fmt: skip


def test_what_a_row_states_stays() -> None:
    found = filled({**ROW, "global_batch": "1440"})
    assert (found["global_batch"], found["tp"], found["pp"]) == ("1440", "1", "1")
    # nine sequences a replica: four do not divide them, three do
    assert found["micro_batch"] == "3"
    assert found["notes"] == "batch and layout of conf/training/gpt3/5b.yaml"


def test_pipelines_are_interleaved_layer_by_layer() -> None:
    row = {**ROW, "model": "gpt3-175b", "n_layers": "96", "n_devices": "1024", "tp": "8",
           "pp": "16"}  # fmt: skip
    found = filled(row)
    assert (found["vpp"], found["micro_batch"]) == ("6", "1")
    assert found["notes"].endswith("sequence_parallel=true")


def test_other_tables_are_left_alone() -> None:
    for row in ({**ROW, "source": "elsewhere"}, {**ROW, "model": "t5-3b"}):
        assert filled(row) == row


def test_rows_without_a_layout_in_their_table_are_predicted_within_a_fifth() -> None:
    """The recipe is of 2024, the table of 2023: what changed between is not told."""
    rows = [r for r in read_rows(DATA / "train_misc_llm.csv.gz") if r.text == "gpt3-5b"]
    found = [predict(r) for r in rows[:2]]
    assert len(rows) == 7
    assert all(p.error is not None and abs(p.error) <= 0.2 for p in found)
