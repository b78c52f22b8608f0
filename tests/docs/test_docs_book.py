"""The book holds together: every page is in it, every link leads somewhere, no room lacks one."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT

import suiren

DOCS, BOOK = ROOT / "docs", ROOT / "book"
LINK = re.compile(r"(?<!`)\[[^\]\n]+\]\(([^)\s]+)\)")
#: Pages that the book makes while it is built.
MADE = ("index.md", *(f"reference/{n}.md" for n in ("commands", "chips", "data", "examples",
                                                    "industries")))  # fmt: skip
WRITTEN = sorted(DOCS.rglob("*.md"))
READ = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md")), *WRITTEN]


def in_text(path: Path) -> str:
    """The page without code, where brackets mean something else."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    lost = []
    for page in READ:
        for target in LINK.findall(in_text(page)):
            path, _, anchor = target.partition("#")
            if "://" in target:
                continue
            there = (page.parent / path).resolve() if path else page
            made = there.is_relative_to(DOCS) and str(there.relative_to(DOCS)) in MADE
            if not made and not there.exists():
                lost.append(f"{page.relative_to(ROOT)}: {target}")
            elif anchor and there.suffix == ".md" and not made and anchor not in anchors(there):
                lost.append(f"{page.relative_to(ROOT)}: no heading for {target}")
    assert lost == []


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)
    pages = [str(path.relative_to(DOCS)) for path in WRITTEN]
    assert sorted(listed) == sorted([*pages, *MADE])


def test_nothing_is_loaded_from_outside() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text
    assert "://" not in text


ROOMS = sorted(
    {path.parent.name for path in Path(suiren.__file__).parent.glob("*/__init__.py")}
    | {p.stem for p in Path(suiren.__file__).parent.glob("*.py")} - {"__init__", "__main__"}
)


def found(name: str) -> Any:
    """The thing of a dotted name; raises if there is none."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        try:
            thing: Any = importlib.import_module(module)
        except ModuleNotFoundError as problem:
            if problem.name is None or not module.startswith(problem.name):
                raise
            continue
        for part in parts[length:]:
            thing = getattr(thing, part)
        return thing
    raise AssertionError(f"there is no {name}")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_chapter_that_names_what_is_there(room: str) -> None:
    chapter = DOCS / "chapters" / f"{room}.md"
    assert chapter.exists(), f"the room {room} needs docs/chapters/{room}.md"
    text = chapter.read_text(encoding="utf-8")
    assert "## Main types" in text and "## How to extend it" in text
    names = re.findall(r"^\| `(suiren[\w.]*)` \|", text, re.MULTILINE)
    assert names
    for name in names:
        assert name.split(".")[1] == room
        found(name)


@pytest.fixture(scope="module")
def pages() -> Any:
    spec = importlib.util.spec_from_file_location("book_pages", BOOK / "pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_command_and_option(pages: Any) -> None:
    text = pages.page("reference/commands.md")
    for name, command in pages.suiren.commands.items():
        if command.hidden:
            continue
        assert f"## suiren {name}\n" in text
        for parameter in command.params:
            if not getattr(parameter, "hidden", False):
                for option in (o for o in parameter.opts if o.startswith("--")):
                    assert option in text, f"{name} {option}"


def test_the_pages_that_are_made_are_those_that_are_named(pages: Any) -> None:
    assert set(pages.MADE) == set(MADE)
    assert "| `t21` |" in pages.page("reference/chips.md")
    assert "kernel_aic_gemm.csv.gz" in pages.page("reference/data.md")


@pytest.mark.slow
def test_the_book_is_built_and_loads_nothing_from_outside(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    for page in tmp_path.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:[^"]+)"', text)
        loaded += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]+)"', text)
        assert loaded == [], page
        assert "```" not in text, f"{page} shows a fence"
