"""Whole steps beside training tables: no row of them was fitted on; errors stay within the bars."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from suiren.truth.predict import Prediction
from suiren.truth.rows import read_rows, sample
from suiren.truth.run import run

DATA = Path(__file__).parents[2] / "data" / "measured"


def predicted(table: str, count: int | None, split: str = "check") -> list[Prediction]:
    rows = [r for r in read_rows(DATA / f"{table}.csv.gz") if r.split == split]
    found = run(rows if count is None else sample(rows, count), processes=1)
    assert all(p.seconds is not None or len(p.status) > 10 for p in found)
    return [p for p in found if p.error is not None]


def mape(found: list[Prediction]) -> float:
    return statistics.fmean(abs(p.error or 0.0) for p in found)


@pytest.mark.parametrize("count", [40, pytest.param(None, marks=pytest.mark.slow)])
def test_mpt_under_fsdp(count: int | None) -> None:
    found = predicted("train_llmfoundry_mpt", count)
    assert len(found) >= 40
    assert mape(found) <= 0.12


def test_maxtext_on_tpus() -> None:
    found = predicted("train_tpu_jax", None)
    assert len(found) >= 30
    assert mape(found) <= 0.12
