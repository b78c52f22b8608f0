"""Whole training steps beside published ones: bars on rows of split `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from suiren.truth import score
from suiren.truth.predict import Prediction, predict
from suiren.truth.rows import Row, read_rows, sample

DATA = Path(__file__).parents[2] / "data" / "measured"
#: Table -> (bar of the mean absolute error in percent, rows of the sample).
BARS = {
    "train_megatron_lm": (8.0, 10), "train_vtrain_a100": (10.0, 60),
    "train_dlperf_v100": (20.0, 40), "train_neusight_e2e": (14.0, 16),
    "train_nvidia_nemo": (20.0, 24), "train_ascend_modellink": (22.0, 16),
}  # fmt: skip


def rows(table: str) -> list[Row]:
    return [r for r in read_rows(DATA / f"{table}.csv.gz") if r.split == "check"]


def judged(found: list[Prediction]) -> score.Score:
    errors = [p.error for p in found if p.error is not None]
    assert errors
    return score.score((), errors)


@pytest.mark.parametrize("table", ["train_megatron_lm", "train_vtrain_a100", "train_dlperf_v100"])
def test_a_sample_of_a_table_is_within_its_bar(table: str) -> None:
    bar, count = BARS[table]
    assert judged([predict(r) for r in sample(rows(table), count)]).mape <= bar


@pytest.mark.slow
@pytest.mark.parametrize("table", BARS)
def test_a_whole_table_is_within_its_bar(table: str) -> None:
    assert judged([predict(r) for r in rows(table)]).mape <= BARS[table][0]


@pytest.mark.slow
def test_vtrain_is_matched_on_one_node_and_beaten_on_many() -> None:
    """vTrain profiles the real kernels and states 8.4 % on one node, 14.7 % on many."""
    found = [predict(r) for r in rows("train_vtrain_a100")]
    many = [p for p in found if int(p.row.shape["n_devices"]) > 8]
    assert judged(found).mape <= 9.0
    assert judged(many).mape <= 14.7


def test_every_training_row_is_judged_or_listed_with_a_reason() -> None:
    for file in sorted(DATA.glob("train_*.csv.gz")):
        for one in map(predict, sample(read_rows(file), 2)):
            assert (one.error is None) == (one.status != "predicted"), one
            assert one.status, one


def test_passes_of_several_cards_are_a_step_less_its_optimizer() -> None:
    found = {r.id: predict(r) for r in rows("train_neusight_e2e") if r.shape["n_devices"] == "4"}
    assert set(found) == {"ns-0062", "ns-0063", "ns-0064"}
    assert judged(list(found.values())).mape <= 20
    one_by_one = found["ns-0063"].seconds  # four stages, one micro-batch: nothing runs at once
    assert one_by_one and one_by_one > 3 * (found["ns-0062"].seconds or 0)


@pytest.mark.parametrize(("change", "told"), [
    ({"micro_batch": ""}, "the row gives no micro_batch"), ({"tp": ""}, "the row gives no tp"),
    ({"precision": "NVFP4"}, "does not multiply in fp4"),
    ({"dp": "3"}, "are not the 8 devices of the row"),
    ({"global_batch": "3"}, "impossible layout: global batch 3 is no multiple"),
    ({"n_heads": "7"}, "no multiple of 7"),
])  # fmt: skip
def test_what_a_row_leaves_open_is_its_status(change: dict[str, str], told: str) -> None:
    from dataclasses import replace

    row = next(r for r in rows("train_vtrain_a100") if r.shape["n_devices"] == "8")
    shape = {k: v for k, v in {**row.shape, **change}.items() if v}
    found = predict(replace(row, shape=shape))
    assert found.seconds is None
    assert told in found.status
