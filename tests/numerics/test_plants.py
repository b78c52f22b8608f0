"""Every planted trouble is found: what it is, in which op, in which phase, on which line."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parent / "scripts" / "plants.py"
TIMEOUT_S = 300


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("numerics_plants", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where `inspect` looks for its classes
    spec.loader.exec_module(module)
    return module


PLANTED = _module()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All plants, run in one process of their own."""
    out = tmp_path_factory.mktemp("plants") / "found.json"
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(out)], capture_output=True, text=True,
        timeout=TIMEOUT_S, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(out.read_text())


def first(findings: list[dict[str, Any]]) -> dict[str, Any]:
    assert findings, "nothing was found"
    assert findings[0]["weight"] == "trouble", findings[0]["headline"]
    return findings[0]


@pytest.mark.parametrize("name", PLANTED.PLANTS)
def test_a_plant_is_localised(found: dict[str, Any], name: str) -> None:
    wanted = PLANTED.PLANTS[name][1]
    trouble = first(found[name]["findings"])
    assert trouble["what"] == wanted["what"], trouble["headline"]
    assert trouble["op"].split(".")[1] == wanted["op"], trouble["headline"]
    assert trouble["phase"] == wanted["phase"], trouble["headline"]
    assert (Path(trouble["file"]), trouble["line"]) == (SCRIPT, wanted["line"]), trouble["headline"]
    assert wanted["cause"] in trouble["cause"]
    assert trouble["step"] == wanted["step"]
    if wanted["module"]:
        assert trouble["module"] == wanted["module"]
    assert trouble["chain"] >= wanted.get("chain", 0)
    if "made_by" in wanted:
        assert trouble["made_by"]["op"].split(".")[1] == wanted["made_by"]
    if "skips" in wanted:
        assert len(found[name]["skipped"]) == wanted["skips"]


@pytest.mark.parametrize("name", PLANTED.FINE)
def test_nothing_is_found_where_nothing_is_wrong(found: dict[str, Any], name: str) -> None:
    troubles = [t["headline"] for t in found[name]["findings"] if t["weight"] == "trouble"]
    assert troubles == []


@pytest.mark.parametrize("name", PLANTED.FIXED)
def test_a_fix_takes_its_trouble_away(found: dict[str, Any], name: str) -> None:
    first(found[name]["findings"])
    left = [t["headline"] for t in found[f"{name}, fixed"]["findings"] if t["weight"] == "trouble"]
    assert left == []


def test_every_op_was_run_again(found: dict[str, Any]) -> None:
    lost = {name: run["unwatched"] for name, run in found.items() if run["unwatched"]}
    assert lost == {}


def test_the_trouble_brings_the_tensors_it_is_about(found: dict[str, Any]) -> None:
    trouble = first(found["overflow_in_an_activation"]["findings"])
    inputs, result = trouble["tensors"][:-1], trouble["tensors"][-1]
    assert [t["shape"] for t in inputs] == [[32, 64], [64, 32]]
    assert all(t["percent_infinite"] == 0 for t in inputs)
    assert result["percent_infinite"] > 0
    assert result["format"] == "FP16"
    assert result["absolute_maximum"] <= 65504


def test_a_sum_term_by_term_tells_its_error_against_the_exact_sum(found: dict[str, Any]) -> None:
    """A thousand uniform numbers in BF16 stop growing at 256 of about 500."""
    trouble = first(found["long_vector_term_by_term"]["findings"])
    assert 0.4 < trouble["error"]["relative"] < 0.6
    assert trouble["times"] > 100


def test_the_nan_after_an_infinity_is_told_too(found: dict[str, Any]) -> None:
    findings = found["log_of_zero"]["findings"]
    assert [(t["what"], t["op"]) for t in findings[:2]] == [
        ("infinity", "aten.log.default"), ("nan", "aten.mul.Tensor"),
    ]  # fmt: skip
    assert findings[1]["made_by"]["op"] == "aten.log.default"


def test_the_runs_part_where_the_difference_is_made(found: dict[str, Any]) -> None:
    line = PLANTED.PLANTS["long_vector_term_by_term"][1]["line"]
    assert found["long_vector_term_by_term"]["parts"] == {"line": line, "how": "accumulated"}
    assert found["accumulated_gradients"]["parts"] is None


def test_a_skipped_first_step_is_a_note(found: dict[str, Any]) -> None:
    run = found["first_scale_too_high"]
    assert 1 <= len(run["skipped"]) <= 2
    assert any("lowered its scale" in t["cause"] for t in run["findings"])


def test_the_losses_of_both_runs_stand_beside_each_other(found: dict[str, Any]) -> None:
    losses = found["pure_bf16_convolutions"]["losses"]
    assert len(losses) == 3
    for card, shadow in losses:
        assert card == pytest.approx(shadow, rel=0.2)
        assert card != shadow
