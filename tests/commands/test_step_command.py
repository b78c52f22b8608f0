"""`suiren step`: a table of parts, memory, a picture; a mistake is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from suiren.commands.step import step

CALL = ["gpt3-175b", "--on", "dgx-a100*16", "--tp", "8", "--pp", "16", "--global-batch", "64"]


def test_a_step_is_told_and_written(tmp_path: Path) -> None:
    file = tmp_path / "step.json"
    done = CliRunner().invoke(step, [*CALL, "--recompute", "selective", "--json", str(file)])
    assert done.exit_code == 0, done.output
    for word in ("step time", "MFU", "bubble", "memory by stage", "0123", "aa"):
        assert word in done.output
    assert "…" not in done.output  # no word of a table is cut
    told = json.loads(file.read_text())
    assert told["ranks"] == 128
    assert sum(told["parts_s"].values()) == pytest.approx(told["step_s"])
    assert told["fits"]
    assert [m["stage"] for m in told["memory"]] == [0, 8, 15]


@pytest.mark.parametrize(("changed", "told"), [
    (["--tp", "5"], "128 ranks are no multiple of tp 5 x cp 1 x pp 16 = 80"),
    (["--on", "dgx-b900"], "dgx-b900"), (["--framework", "jax"], "no framework is called 'jax'"),
    (["--ranks", "256", "--on", "dgx-a100*2"], "has 16 cards, not 256"),
    (["--global-batch", "3", "--dp", "2", "--pp", "8"], "global batch 3 is no multiple of dp 2"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(changed: list[str], told: str) -> None:
    done = CliRunner().invoke(step, [*CALL, *changed])
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert "Traceback" not in done.output
