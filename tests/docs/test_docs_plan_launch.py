"""The chapter on what a plan is launched with holds: its code runs and prints what is shown."""

from __future__ import annotations

from doc_blocks import ROOT, promised, runs_python

CHAPTER = ROOT / "docs" / "plan_launch.md"


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")
