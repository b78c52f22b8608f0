"""The JSON document: every field, units in the keys, the same bytes for the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from told import MiB, out_of_memory, trained, without_flop

from suiren.report.document import document, write_document

FIELDS = set(
    """schema suiren script numerics outcome is_whole_step card steps step_time_s batch
    samples_per_s tokens_per_s
    mfu hfu model_flop hardware_flop flop_by_format peak_flop_per_s achieved_flop_per_s
    peak_memory_bytes steady_peak_memory_bytes memory_capacity_bytes memory_by_kind_bytes
    memory_owners out_of_memory fit energy_j clock_share average_power_w energy_per_sample_j
    time_split_s time_split_share host_work phases_s ops modules calls approximated fallbacks
    hazards assumed changes""".split()
)
#: Keys of plain counts, ratios and what is no quantity; every other number needs a unit.
UNITLESS = set(
    """clock_share schema num_steps num_warm_up num_distinct samples sequence tokens micro_batches
    mfu hfu share calls
    roofline_share launches count value batch largest_batch largest_sequence""".split()
)
UNITS = ("_s", "_bytes", "_flop", "_per_s", "_j", "_w", "_percent", "_ps")


def numbers(value: Any, key: str = "") -> list[str]:
    """The innermost own key above every number."""
    if isinstance(value, dict):
        inherits = {"time_split_s", "time_split_share", "phases_s", "flop_by_format",
                    "memory_by_kind_bytes", "peak_flop_per_s"}  # fmt: skip
        return [n for k, v in value.items() for n in numbers(v, key if key in inherits else k)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v, key)]
    return [key] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


@pytest.mark.parametrize("make", [trained, without_flop, out_of_memory])
def test_every_field_is_there_and_nothing_else(make: Any) -> None:
    assert set(document(make())) == FIELDS


@pytest.mark.parametrize("make", [trained, without_flop, out_of_memory])
def test_every_number_carries_its_unit_in_its_key(make: Any) -> None:
    bare = {
        key
        for key in numbers(document(make()))
        if key not in UNITLESS and not key.endswith(UNITS) and key not in ("bytes", "flop")
        and key not in ("flop_by_format", "time_split_share")
    }  # fmt: skip
    assert bare == set()


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    write_document(trained(), tmp_path / "a.json")
    write_document(trained(), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == document(trained())


def test_no_number_is_infinite_or_none_of_any() -> None:
    for make in (trained, without_flop, out_of_memory):
        json.dumps(document(make()), allow_nan=False)


def test_throughput_follows_from_the_step() -> None:
    told = document(trained())
    step_s = told["step_time_s"]
    assert told["batch"]["samples"] == 4
    assert told["batch"]["sequence"] == 128
    assert told["batch"]["tokens"] == 512
    assert told["samples_per_s"] == pytest.approx(4 / step_s)
    assert told["tokens_per_s"] == pytest.approx(512 / step_s)
    assert told["energy_per_sample_j"] == pytest.approx(told["energy_j"] / 4)
    assert told["average_power_w"] == pytest.approx(told["energy_j"] / step_s)


def test_flop_follow_from_the_products() -> None:
    told = document(trained())
    one = 2 * 512 * 1024 * 4096
    assert told["model_flop"] == 2 * one  # what is recomputed is no work of the model
    assert told["hardware_flop"] == 3 * one
    assert told["flop_by_format"] == {"fp32": 3 * one}
    peak = 2 * 16 * 256 * 1e9
    assert told["peak_flop_per_s"] == pytest.approx(peak)
    assert told["mfu"] == pytest.approx(2 * one / (peak * told["step_time_s"]))
    assert told["hfu"] == pytest.approx(1.5 * told["mfu"])


def test_memory_is_the_weights_and_every_result() -> None:
    told = document(trained())
    assert told["peak_memory_bytes"] == told["steady_peak_memory_bytes"] == (16 + 7 * 8) * MiB
    assert sum(told["memory_by_kind_bytes"].values()) == told["peak_memory_bytes"]
    assert sum(owner["bytes"] for owner in told["memory_owners"]) == told["peak_memory_bytes"]
    assert told["memory_by_kind_bytes"]["weights"] == 16 * MiB


def test_shares_sum_to_one() -> None:
    told = document(trained())
    assert sum(told["time_split_share"].values()) == pytest.approx(1)
    assert sum(told["time_split_s"].values()) == pytest.approx(told["step_time_s"])


def test_doubts_are_named() -> None:
    told = document(trained())
    assert [row["name"] for row in told["approximated"]["ops"]] == ["mine::odd"]
    assert 0 < told["approximated"]["share"] < 1
    assert told["fallbacks"] == []
    assert {"synchronisation"} <= {hazard["kind"] for hazard in told["hazards"]}
    assert {"pace.vector_efficiency", "pace.instruction_s"} & {
        row["name"] for row in told["assumed"]
    }
    assert all(row["source"] for row in told["assumed"])


def test_steps_are_counted() -> None:
    steps = document(trained())["steps"]
    assert (steps["num_steps"], steps["num_warm_up"], steps["num_distinct"]) == (10, 0, 1)
    assert len(steps["step_times_s"]) == 10


def test_running_out_of_memory_is_told_with_what_would_fit() -> None:
    told = document(out_of_memory())
    assert told["outcome"] == "out of memory"
    assert told["out_of_memory"]["capacity_bytes"] == 64 * MiB
    assert told["fit"]["sentence"] == "largest batch that fits: 3"
    assert document(trained())["out_of_memory"] is None


def test_a_step_without_products_has_no_flop_and_no_tokens() -> None:
    told = document(without_flop())
    assert (told["model_flop"], told["mfu"], told["flop_by_format"]) == (0, 0, {})
    assert told["tokens_per_s"] is None
    assert told["batch"]["samples"] == 1
