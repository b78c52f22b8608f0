"""The chapter on goodput holds: its code, its command, its options."""

from __future__ import annotations

import re

import pytest
from doc_blocks import ROOT, commands, promised, runs_python, stable, suiren

from suiren.commands.goodput import goodput

CHAPTER = ROOT / "docs" / "goodput.md"


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


@pytest.mark.parametrize(("command", "shown"), commands(CHAPTER))
def test_the_command_prints_what_is_shown_numbers_included(command: str, shown: str) -> None:
    said = [" ".join(line.split()) for line in suiren(command).splitlines()]
    for line in shown.splitlines():
        assert " ".join(line.split()) in said
    assert stable(shown)


def test_the_options_of_the_chapter_are_the_commands() -> None:
    told = set(re.findall(r"(--[a-z][a-z-]*)", CHAPTER.read_text()))
    assert told == {o.opts[0] for o in goodput.params if o.opts[0].startswith("--")}
