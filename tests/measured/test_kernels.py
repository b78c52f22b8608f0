"""Predictions beside published kernel measurements: the bars hold on rows nothing was fitted on."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from suiren.truth import score
from suiren.truth.predict import Prediction
from suiren.truth.rows import Row, read_rows, sample
from suiren.truth.run import run

DATA = Path(__file__).parents[2] / "data" / "measured"


@cache
def table(file: str) -> list[Row]:
    return read_rows(DATA / file)


def rows(file: str) -> list[Row]:
    return [r for r in table(f"{file}.csv.gz") if r.split == "check"]


def predicted(file: str, hardware: str, op: str, dtype: str, count: int) -> list[Prediction]:
    chosen = [r for r in rows(file)
              if hardware in r.hardware and r.op == op and r.dtype == dtype]  # fmt: skip
    assert chosen, "no such rows"
    return run(sample(chosen, count), processes=1)


def judged(found: list[Prediction]) -> score.Score:
    errors = [p.error for p in found]
    assert None not in errors, [p.status for p in found if p.error is None][:3]
    return score.score((), [e for e in errors if e is not None])


@pytest.mark.parametrize(("hardware", "mape", "middle"), [("A100", 10, 7), ("H100", 10, 7)])
def test_gemm_in_bf16_is_within_ten_percent(hardware: str, mape: float, middle: float) -> None:
    found = predicted("kernel_aic_gemm", hardware, "gemm", "bfloat16", 80)
    told = judged(found)
    assert told.mape <= mape
    assert told.median <= middle
    for one in (*score.by(found, score.decade), *score.by(found, score.rows_of_product)):
        assert one.count < 12 or one.mape <= 15, one


@pytest.mark.parametrize(("hardware", "mape"), [("L40S", 15), ("GB200", 15), ("B60", 15)])
def test_gemm_elsewhere_is_within_fifteen_percent(hardware: str, mape: float) -> None:
    assert judged(predicted("kernel_aic_gemm", hardware, "gemm", "bfloat16", 24)).mape <= mape


@pytest.mark.parametrize("hardware", ["A100", "H100"])
def test_attention_is_within_fifteen_percent(hardware: str) -> None:
    op = "attention_prefill (causal fwd)"
    found = predicted("kernel_aic_attention_fwd", hardware, op, "bfloat16/kv bfloat16", 80)
    assert judged(found).mape <= 15


@pytest.mark.parametrize("op", ["softmax", "ln", "gelu", "add", "linear", "bmm"])
@pytest.mark.parametrize("hardware", ["A100-PCIE", "V100"])
def test_fp32_operators_are_within_fifteen_percent(hardware: str, op: str) -> None:
    assert judged(predicted("kernel_neusight_fp32", hardware, op, "fp32", 30)).mape <= 15


def test_every_row_of_every_table_is_judged_or_listed_with_a_reason() -> None:
    for file in sorted(DATA.glob("kernel_*.csv.gz")):
        untold = [row for row in table(file.name) if row.measured_s is None]
        found = run([*sample(table(file.name), 20), *sample(untold, 20)], processes=1)
        for one in found:
            assert (one.error is None) == (one.status != "predicted"), one
            assert one.status, one
        listed = sum(count for *_, count in score.refused(found))
        assert sum(p.error is not None for p in found) + listed == len(found)
