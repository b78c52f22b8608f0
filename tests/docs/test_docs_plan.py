"""The chapter on planning: its code runs, its commands are real."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner
from doc_blocks import ROOT, blocks, promised, runs_python

from suiren.commands.plan import plan

CHAPTER = ROOT / "docs" / "plan.md"
COMMANDS = [
    line.removeprefix("suiren plan ")
    for block in blocks(CHAPTER)
    for line in block.text.splitlines()
    if line.startswith("suiren plan ") and "--formula" in line
]


def test_the_code_runs_and_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_are_real(line: str, tmp_path) -> None:
    store = ["--store", str(tmp_path / "s.sqlite"), "--sensitivity", "none"]
    done = CliRunner().invoke(plan, [*shlex.split(line), *store])
    nothing = "--recompute none --offload none" in line
    assert done.exit_code == int(nothing), done.output
    assert ("smallest change that does" in done.output) == nothing


def test_every_option_of_the_chapter_is_one_of_the_command() -> None:
    known = {name for option in plan.params for name in option.opts}
    said = set(re.findall(r"`(--[a-z-]+)", CHAPTER.read_text()))
    assert said - known == set()
