"""The chapter on training steps: its code runs, its commands are real, tables are named."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner
from doc_blocks import ROOT, blocks, promised, runs_python

from suiren.commands.step import step

CHAPTER = ROOT / "docs" / "training.md"


def test_the_code_runs_and_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


COMMANDS = [
    line.removeprefix("suiren step ")
    for block in blocks(CHAPTER)
    for line in block.text.splitlines()
    if line.startswith("suiren step ") and "config.json" not in line
]


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_are_real(line: str) -> None:
    done = CliRunner().invoke(step, shlex.split(line))
    assert done.exit_code == 0, done.output


def test_every_training_table_of_these_has_its_errors() -> None:
    text = CHAPTER.read_text()
    for table in re.findall(r"`(train_\w+)`", text):
        assert (ROOT / "data" / "measured" / f"{table}.csv.gz").exists()
    for name in ("vtrain_a100", "megatron_lm", "dlperf_v100", "nvidia_nemo", "ascend_modellink",
                 "neusight_e2e", "misc_llm"):  # fmt: skip
        assert f"`train_{name}`" in text
