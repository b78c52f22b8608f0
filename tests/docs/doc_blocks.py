"""Code blocks of a chapter: what runs, and what it must print with numbers left out."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suiren.cli import main

ROOT = Path(__file__).parents[2]
_NUMBER = re.compile(r"\d[\d,]*(\.\d+)?(e[+-]?\d+)?( ?(ns|µs|ms|s|mJ|J|KiB|MiB|[GT]FLOP/s))?\b")
#: Lines of a picture: how they look follows from times.
_PICTURE = re.compile(r"[█▓]|^\s+# +#$|^\s*(load|matrix|vector|special|store)\s.*%$")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the chapter its text starts on."""

    language: str
    text: str
    line: int


def blocks(chapter: Path) -> Iterator[Block]:
    fence: tuple[str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(chapter.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("```"):
            lines.append(line)
        elif fence is None:
            fence, lines = (line[3:].strip(), number + 1), []
        else:
            yield Block(fence[0], "\n".join(lines) + "\n", fence[1])
            fence = None


def stable(text: str) -> list[str]:
    """The lines of an output without its numbers, pictures and empty lines."""
    lines = [_NUMBER.sub("#", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not _PICTURE.search(line)]


def runs_python(chapter: Path) -> Iterator[tuple[Block, str]]:
    """Runs the Python blocks in one namespace; yields each with what it printed."""
    scope: dict[str, Any] = {"__name__": "chapter"}
    for block in blocks(chapter):
        if block.language == "python":
            # as if the chapter were the file: messages name its lines
            code = compile("\n" * (block.line - 1) + block.text, str(chapter), "exec")
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, scope)
            yield block, printed.getvalue()


def promised(chapter: Path) -> dict[int, str]:
    """By line of a Python block, the text block right after it."""
    found: dict[int, str] = {}
    before: Block | None = None
    for block in blocks(chapter):
        after_python = before is not None and before.language.split()[:1] == ["python"]
        if block.language == "text" and before is not None and after_python:
            found[before.line] = block.text
        before = block
    return found


def commands(chapter: Path) -> list[tuple[str, str]]:
    """(command, what the chapter shows of its output) of every console block."""
    found = []
    for block in blocks(chapter):
        if block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                command, _, shown = part.partition("\n")
                found.append((command, shown))
    return found


def suiren(command: str) -> str:
    """What `suiren …` prints on both streams."""
    program, *arguments = shlex.split(command)
    assert program == "suiren", command
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            main(arguments)
        except SystemExit as stopped:
            assert stopped.code in (0, 2), out.getvalue()
    return out.getvalue()
