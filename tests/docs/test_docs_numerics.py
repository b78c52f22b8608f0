"""The chapter on numbers holds: its code runs, its script gives what is shown."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from doc_blocks import ROOT, blocks, commands, promised, runs_python, stable, suiren
from warm_python import python

CHAPTER = ROOT / "docs" / "numerics.md"
TIMEOUT_S = 180


def test_every_python_block_runs_and_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert stable(printed) == stable(shown.get(block.line, "")), block.line


def test_the_script_gives_what_is_shown(tmp_path: Path) -> None:
    for block in blocks(CHAPTER):
        name = re.match(r"python file=(\S+)", block.language)
        if name:
            (tmp_path / name[1]).write_text(block.text)
    command, shown = next(pair for pair in commands(CHAPTER) if " run " in pair[0])
    given = (*command.split()[1:], "--json", "found.json")
    ran = python("-m", "suiren.cli", *given, cwd=tmp_path, timeout_s=TIMEOUT_S)
    assert ran.returncode == 1, ran.stderr
    said = [words(line) for line in ran.stdout.splitlines()]
    for line in shown.splitlines():
        assert any(words(line) in one for one in said), line
    found = json.loads((tmp_path / "found.json").read_text())
    first = found["findings"][0]
    assert (first["what"], first["line"], first["module"]) == ("overflow", 7, "Sequential.1")
    assert [(f["kind"], f["vanished"]) for f in found["fixes"]] == [("line", True)]
    assert found["fixes"][0]["step_time_s"] > 0


def words(line: str) -> str:
    """A line without frames and repeated spaces."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", line).split())


@pytest.mark.parametrize(
    ("command", "shown"), [pair for pair in commands(CHAPTER) if " run " not in pair[0]]
)
def test_every_other_command_prints_what_is_shown(command: str, shown: str) -> None:
    said = stable(suiren(command))
    for line in stable(shown):
        assert line in said, "\n".join([command, *said])
