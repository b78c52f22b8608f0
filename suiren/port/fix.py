"""The patch: every file that can be rewritten, before and after, and the difference."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from suiren.port.finding import Finding, Unread
from suiren.port.notebook import find_in_notebook, read_notebook, with_text
from suiren.port.parsed import lines_of
from suiren.port.python_file import find_in_python
from suiren.port.scan import Scan, python_text


@dataclass(frozen=True, slots=True)
class Fixed:
    """A file and what it becomes."""

    path: Path
    shown: Path
    """The path from the root of the scan."""
    before: str
    after: str

    def diff(self) -> str:
        """The difference in the unified form, as `patch -p1` and `git apply` take it."""
        name = self.shown.as_posix()
        lines = difflib.unified_diff(
            lines_of(self.before),
            lines_of(self.after),
            f"a/{name}",
            f"b/{name}",
        )
        return "".join(_ended(line) for line in lines)


def _ended(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def fixes(found: Scan) -> Iterator[Fixed | Unread]:
    """Files that change, in order of name, and those that could not be rewritten."""
    by_path: dict[Path, list[Finding]] = {}
    for finding in found.ties:
        if finding.action:
            by_path.setdefault(finding.path, []).append(finding)
    folder = found.root if found.root.is_dir() else found.root.parent
    for shown in sorted(by_path):
        path = folder / shown
        try:
            before = python_text(path, path.read_bytes())
            after = rewrite_text(before, shown)
        except Exception as problem:
            yield Unread(shown, f"it cannot be rewritten ({type(problem).__name__}: {problem})")
            continue
        if after != before:
            yield Fixed(path, shown, before, after)


def rewrite_text(source: str, shown: Path) -> str:
    """A Python file's or a notebook's text with its ties rewritten."""
    from suiren.port.rewrite import rewritten

    if shown.suffix != ".ipynb":
        return rewritten(source, find_in_python(source, shown))
    book = read_notebook(source)
    if not any(f.action and not f.guard for f in find_in_notebook(source, shown)):
        return source
    return with_text(book, rewritten(book.text, find_in_python(book.text, shown)))


def write(fixed: Fixed) -> None:
    """Changes the file in place, in its own encoding and with its own ends of lines."""
    import tokenize

    raw = fixed.path.read_bytes()
    lines = iter(raw.splitlines(keepends=True))
    encoding, _ = tokenize.detect_encoding(lambda: next(lines, b""))
    text = fixed.after.replace("\n", "\r\n") if b"\r\n" in raw else fixed.after
    fixed.path.write_bytes(text.encode(encoding))
