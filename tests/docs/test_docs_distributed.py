"""The chapter on many cards holds: its code prints what is shown, its limits are the launcher's."""

from __future__ import annotations

import re

from doc_blocks import ROOT, promised, runs_python

from suiren.torch.distributed.launch import CARDS_PER_NODE, MOST_DEVICES
from suiren.torch.distributed.referee import NOTICE_S

CHAPTER = ROOT / "docs" / "distributed.md"


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown[block.line]


def test_the_numbers_of_the_chapter_are_those_of_the_code() -> None:
    text = CHAPTER.read_text()
    assert f"1 to {CARDS_PER_NODE} on a node" in text
    assert re.search(rf"… {MOST_DEVICES} are whole nodes of {CARDS_PER_NODE}", text)
    assert f"after {NOTICE_S:.0f} s one line" in text


def test_every_example_of_the_chapter_exists() -> None:
    for name in re.findall(r"examples/\S+\.py", CHAPTER.read_text()):
        assert (ROOT / name).exists()
