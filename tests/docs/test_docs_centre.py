"""The chapter on computing centres holds: its code, its file, its command."""

from __future__ import annotations

import shlex
import tomllib

import pytest
from doc_blocks import ROOT, blocks, commands, promised, runs_python, suiren

from suiren.centre.build import centre_of

CHAPTER = ROOT / "docs" / "centre.md"


def test_every_python_block_prints_what_is_shown() -> None:
    shown = promised(CHAPTER)
    for block, printed in runs_python(CHAPTER):
        assert printed == shown.get(block.line, "")


def test_the_file_of_the_chapter_is_a_centre() -> None:
    files = [block.text for block in blocks(CHAPTER) if block.language == "toml"]
    assert len(files) == 1
    found = centre_of(files[0])
    assert found.cards == 1000 and found.jobs[0].layout.tp == [4, 8]
    assert found.goal is not None and found.goal.days == tomllib.loads(files[0])["goal"]["days"]


def test_the_command_of_the_chapter_names_an_example() -> None:
    for command, _ in commands(CHAPTER):
        assert (ROOT / shlex.split(command)[2]).is_file()


@pytest.mark.slow  # 70B parameters, all layouts: the fast tests of tests/centre take small models
@pytest.mark.parametrize(("command", "shown"), commands(CHAPTER))
def test_the_command_prints_what_is_shown(
    command: str, shown: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("page") / "t21.html"
    full = command.replace("examples/", f"{ROOT}/examples/").replace("t21.html", str(page))
    said = [" ".join(line.split()) for line in suiren(full).splitlines()]
    for line in shown.splitlines():
        assert " ".join(line.split()) in said
    assert page.read_text().startswith("<!doctype html>")
