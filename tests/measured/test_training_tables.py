"""Whole steps beside training tables: no row of them was fitted on; errors stay within the bars."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from suiren.truth.predict import Prediction
from suiren.truth.rows import read_rows, sample
from suiren.truth.run import run

ROOT = Path(__file__).parents[2]
DATA, CHAPTER = ROOT / "data" / "measured", ROOT / "docs" / "training_tables.md"


def predicted(table: str, count: int | None, split: str = "check") -> list[Prediction]:
    rows = [r for r in read_rows(DATA / f"{table}.csv.gz") if r.split == split]
    found = run(rows if count is None else sample(rows, count), processes=1)
    assert all(p.seconds is not None or len(p.status) > 10 for p in found)
    return [p for p in found if p.error is not None]


def mape(found: list[Prediction]) -> float:
    return statistics.fmean(abs(p.error or 0.0) for p in found)


@pytest.mark.parametrize("count", [16, pytest.param(None, marks=pytest.mark.slow)])
def test_mpt_under_fsdp(count: int | None) -> None:
    found = predicted("train_llmfoundry_mpt", count)
    assert len(found) >= 16
    assert mape(found) <= 0.12


@pytest.mark.parametrize("count", [6, pytest.param(None, marks=pytest.mark.slow)])
def test_maxtext_on_tpus(count: int | None) -> None:
    found = predicted("train_tpu_jax", count)
    assert mape(found) <= (0.12 if count is None else 0.2)
    if count is None:  # the chapter's line
        line = re.search(r"\| MaxText .*?\| (\d+), (\d+) \| ([\d.]+) % \|", CHAPTER.read_text())
        assert line is not None
        assert len(found) == int(line[2])
        assert 100 * mape(found) == pytest.approx(float(line[3]), abs=1)


def test_resnet50_on_boxes_of_one_card() -> None:
    """TF32 and AMP where no loader holds a card up: what images channels first cost is in."""
    rows = [r for r in read_rows(DATA / "train_lambda_gpus.csv.gz")
            if r.text == "resnet50" and r.measured_s and r.shape["n_devices"] == "1"
            and "H100" not in r.hardware]  # fmt: skip
    found = [p for p in run(rows, processes=1) if p.error is not None]
    assert len(found) >= 4
    assert mape(found) <= 0.12


def test_bert_on_squad_is_the_script_of_its_table() -> None:
    """One card of each kind, TF32 and AMP: what apex halves and what the optimizer's loop takes."""
    rows = [r for r in read_rows(DATA / "train_lambda_gpus.csv.gz")
            if r.text == "bert_large_squad" and r.measured_s and r.shape["n_devices"] == "1"
            and r.hardware in ("RTX A6000", "RTX 6000 Ada")]  # fmt: skip
    found = [p for p in run(rows, processes=1) if p.error is not None]
    assert len(found) == 4
    assert mape(found) <= 0.1


def test_power_limits_stretch_a_step() -> None:
    rows = [r for r in read_rows(DATA / "train_zeus_power.csv.gz")
            if r.text == "resnet50" and r.shape["micro_batch"] == "128"
            and "Quadro" in r.hardware]  # fmt: skip
    found = [p for p in run(rows, processes=1) if p.error is not None]
    assert len(found) == 8
    assert mape(found) <= 0.15


def test_depthwise_convolutions_of_a_large_batch() -> None:
    rows = [r for r in read_rows(DATA / "train_flagperf.csv.gz")
            if r.text == "mobilenetv2" and r.shape["micro_batch"] == "512"]  # fmt: skip
    found = [p for p in run(rows, processes=1) if p.error is not None]
    assert len(found) == 3
    assert mape(found) <= 0.2
