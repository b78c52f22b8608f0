"""The tutorials are paths that can be walked: every block runs, in order, and prints what is shown.

Blocks marked `slow` run with the slow tests only. Words must agree; numbers nearly, losses loosely:
they depend on the host's processor.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
from doc_blocks import ROOT, Block, blocks, promised, suiren
from warm_python import python

FOLDER = ROOT / "docs" / "tutorials"
TUTORIALS = sorted(FOLDER.glob("*.md"))
#: Files of the repository that a tutorial says it uses.
TAKES = {
    "change_a_chip": "examples/kernels/matmul.py",
    "plan_a_centre": "examples/centres/t21_1000.toml",
}
#: Commands that load PyTorch and so get a process of their own.
LOADING = ("run", "numerics")
NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e[-+]?\d+)?")
NEAR, LOOSE = 0.05, 0.5


def words(line: str) -> str:
    """A line without frames, numbers, units that go with their size, and repeated spaces."""
    text = NUMBER.sub("#", re.sub(r"[│╭╮╰╯─┃]", " ", line))
    return " ".join(re.sub(r"# ?(ns|µs|ms|s)\b", "# s", text).split())


def near(shown: str, said: str) -> bool:
    bound = LOOSE if "loss" in shown else NEAR
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(said), strict=True)
    values = ((float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)
    return all(abs(a - b) <= bound * abs(a) + 1e-9 for a, b in values)


def assert_shown(shown: str, said: str) -> None:
    """Every line that is shown was printed."""
    printed = said.splitlines()
    for line in filter(str.strip, shown.splitlines()):
        alike = [one for one in printed if words(one) == words(line)]
        assert any(near(line, one) for one in alike), f"{line}\n{alike or said}"


def run(command: str, folder: Path) -> str:
    arguments = shlex.split(command)
    assert arguments[0] == "suiren", command
    if arguments[1] not in LOADING:
        return suiren(command)
    ran = python("-m", "suiren.cli", *arguments[1:], cwd=folder, timeout_s=300)
    assert ran.returncode in (0, 1), ran.stderr
    assert "Traceback" not in ran.stderr
    return ran.stdout + ran.stderr


def walk(chapter: Path, folder: Path, *, slow: bool) -> int:
    """Runs the blocks of a tutorial in an empty folder; how many ran."""
    shown, scope, count = promised(chapter), {"__name__": "tutorial"}, 0
    said: dict[str, str] = {}
    for block in blocks(chapter):
        kind, *marks = block.language.split() or [""]
        if name := re.match(r"file=(\S+)", marks[0]) if marks else None:
            (folder / name[1]).write_text(block.text)
        elif "slow" in marks and not slow:
            continue
        elif kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("\n" * (block.line - 1) + block.text, str(chapter), "exec"), scope)
            assert_shown(shown.get(block.line, ""), printed.getvalue())
            count += 1
        elif kind == "console":
            count += _console(block, folder, said)
    return count


def _console(block: Block, folder: Path, said: dict[str, str]) -> int:
    """The commands of a block; the same command is run once in a tutorial."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    for part in parts:
        command, _, shown = part.partition("\n")
        if command not in said:
            said[command] = run(command, folder)
        assert_shown(shown, said[command])
    return len(parts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "history.sqlite"))
    taken = TAKES.get(request.node.callspec.params["chapter"].stem)
    if taken:
        shutil.copy(ROOT / taken, tmp_path)
    return tmp_path


@pytest.mark.parametrize("chapter", TUTORIALS, ids=lambda path: path.stem)
def test_the_path_can_be_walked(chapter: Path, folder: Path) -> None:
    assert walk(chapter, folder, slow=False) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("chapter", TUTORIALS, ids=lambda path: path.stem)
def test_the_whole_path_can_be_walked(chapter: Path, folder: Path) -> None:
    assert walk(chapter, folder, slow=True) >= 4


def test_there_is_a_tutorial_for_each_of_five_users() -> None:
    assert len(TUTORIALS) == 5
    for path in TUTORIALS:
        text = path.read_text(encoding="utf-8")
        assert "pip install ." in text
        assert re.search(r"^For ", text, re.MULTILINE), f"{path.name} does not say for whom it is"
