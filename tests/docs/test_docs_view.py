"""The chapter on the page holds: its code, its options, its views, its pictures."""

from __future__ import annotations

import re

from doc_blocks import ROOT, promised, runs_python

from suiren.commands.view import view
from suiren.view.page import order

CHAPTER = ROOT / "docs" / "view.md"
MOST_PICTURE_BYTES = 1_000_000


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


def test_the_options_of_the_chapter_are_the_commands() -> None:
    table = CHAPTER.read_text().split("| option | |")[1].split("\n\n")[0]
    options = {name for o in view.params for name in (*o.opts, *o.secondary_opts) if "--" in name}
    assert set(re.findall(r"(--[a-z][a-z-]*)", table)) == options


def test_the_views_of_the_chapter_are_those_of_the_page() -> None:
    text = (ROOT / "suiren" / "view" / "static" / order()[-1]).read_text()
    views = re.findall(r'\{ name: "(\w+)", digit: "(\d)"', text)
    told = re.findall(r"^\| (\d) \| (\w+) \|", CHAPTER.read_text(), re.MULTILINE)
    assert told == [(digit, name) for name, digit in views]


def test_the_pictures_are_there_and_small() -> None:
    shown = re.findall(r"pictures/(view_\w+\.png)", CHAPTER.read_text())
    pictures = {path.name: path.stat().st_size
                for path in (ROOT / "docs" / "pictures").glob("view_*.png")}  # fmt: skip
    assert set(shown) == set(pictures)
    assert sum(pictures.values()) < MOST_PICTURE_BYTES
