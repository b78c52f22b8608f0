"""The chapter on thousands of ranks holds: its command and its code."""

from __future__ import annotations

import os

import pytest
from doc_blocks import ROOT, commands, promised, runs_python, stable, suiren

CHAPTER = ROOT / "docs" / "ranks.md"


@pytest.fixture(autouse=True)
def _at_the_root() -> None:
    os.chdir(ROOT)


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


@pytest.mark.slow
@pytest.mark.parametrize(("command", "shown"), commands(CHAPTER))
def test_the_command_prints_the_lines_shown(command: str, shown: str) -> None:
    said = stable(suiren(command))
    for line in stable(shown):
        assert line in said
