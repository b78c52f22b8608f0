"""Every row is judged or listed with its reason; rates become seconds where sizes are told."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from suiren.hw.catalog import CARDS
from suiren.truth import score
from suiren.truth.predict import UNJUDGED, predict
from suiren.truth.products import SCALED_DEPTH, product_s, promoting_s
from suiren.truth.protocol import Protocol, protocol_of
from suiren.truth.rates import seconds_of
from suiren.truth.rows import Row, read_rows
from suiren.truth.run import run

DATA = Path(__file__).parents[2] / "data" / "measured"
MISC = DATA / "kernel_collectives_gemm_misc.csv.gz"


@cache
def misc() -> dict[str, Row]:
    return {row.id: row for row in read_rows(MISC)}


def test_a_row_that_is_predicted_and_tells_no_time_is_listed() -> None:
    row = replace(misc()["km-0126"], measured_s=None, unit="points")
    found = predict(row)
    assert found.seconds is not None
    assert (found.error, found.status) == (None, UNJUDGED)
    assert [(reason, n) for _, _, reason, n in score.refused([found])] == [(UNJUDGED, 1)]


def test_every_product_whose_rate_and_sizes_are_told_has_seconds() -> None:
    with gzip.open(MISC, "rt", newline="") as stream:
        told = [r for r in csv.DictReader(stream) if r["unit"] == "TFLOP/s"]
    assert len(told) == 69
    assert all(misc()[r["id"]].measured_s for r in told)


def test_a_rate_is_two_flop_a_product_over_all_groups() -> None:
    one = {"unit": "TFLOP/s", "op": "gemm", "shape": "M=64,N=32,K=16"}
    assert seconds_of(one, 2.0) == 2 * 64 * 32 * 16 / 2e12
    four = {"unit": "TFLOP/s", "op": "grouped gemm", "shape": "#Groups=4,M per group=64,N=32,K=16"}
    assert seconds_of(four, 2.0) == 4 * 2 * 64 * 32 * 16 / 2e12
    assert seconds_of({**one, "shape": "M=64,N=32"}, 2.0) is None
    assert seconds_of({**one, "unit": "GFLOP/s"}, 2.0) is None


def test_passes_summed_beside_their_milliseconds_are_milliseconds() -> None:
    row = next(r for r in read_rows(DATA / "kernel_deepbench.csv.gz") if r.id == "kd-1671")
    assert row.measured_s == pytest.approx(0.593e-3)


def test_a_finder_that_writes_between_runs_holds_the_clock() -> None:
    card, finder = CARDS["h100"], protocol_of(misc()["km-0129"])
    steady = replace(finder, emptied_bytes=0.0, renews_result=False)
    sizes = (1, 2048, 2048, 13312, "bf16", card)
    assert product_s(*sizes, finder) < 0.95 * product_s(*sizes, steady)
    assert finder.warm(card, 1.0, 1.0, 1.0) == {"a": 0.0, "b": 0.0}


def test_rest_is_what_memory_needs_for_the_bytes_between() -> None:
    card = CARDS["a100"]
    rest_s, rest_j = Protocol("written", emptied_bytes=1e9, renews_result=True).rest(card, 5e8)
    assert rest_s == 2e9 / (card.memory_bytes_per_s * card.pace.stream_efficiency)
    assert rest_j == 2e9 * card.pace.memory_byte_j
    assert Protocol("no more").rest(card, 5e8) == (0.0, 0.0)


def test_lanes_add_the_sums_of_every_scaled_block() -> None:
    card = CARDS["h800"]
    macs = 1e12
    lanes = 128 * 132 * card.clock_hz
    assert promoting_s(macs, card) == pytest.approx(macs / SCALED_DEPTH / lanes)


@pytest.mark.parametrize(("op", "mape"), [("gemm", 12), ("grouped gemm", 10)])
def test_products_with_fine_scales_are_near(op: str, mape: float) -> None:
    rows = [r for r in misc().values() if r.op == op and "DeepGEMM" in r.source]
    errors = [e for p in run(rows, processes=1) if (e := p.error) is not None]
    assert len(errors) == len(rows) > 10
    assert score.score((), errors).mape <= mape
