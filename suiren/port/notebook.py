"""Notebooks: code cells as one Python file, and the way back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from suiren.port.finding import Finding, Span
from suiren.port.kinds import TIES
from suiren.port.python_file import find_in_python
from suiren.port.text_file import find_in_shell_lines

_MARK = "# suiren: cell "
_HIDDEN = "# suiren: line "
_MAGIC = re.compile(r"^\s*(%|!|\?)|\?\s*$")
_FOREIGN = re.compile(
    r"^%%(bash|sh|html|javascript|js|latex|markdown|writefile|cu|cuda|perl|ruby)\b"
)


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook and the Python that its code cells are."""

    content: dict[str, Any]
    raw: str
    text: str
    """All code cells, each behind a line that marks it; lines for the shell are comments."""
    starts: tuple[tuple[int, int], ...]
    """(first line in `text`, cell number) of every code cell."""
    shell: tuple[tuple[int, str], ...]
    """(line in `text`, command) of lines for the shell."""

    def place(self, line: int) -> tuple[int, int]:
        """(cell, line inside it) of a line of `text`."""
        start, cell = max(s for s in self.starts if s[0] <= line)
        return cell, line - start + 1


def read_notebook(raw: str) -> Notebook:
    """Raises ValueError for text that is no notebook."""
    content = json.loads(raw)
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ValueError("no notebook: it has no list of cells")
    lines: list[str] = []
    starts, shell = [], []
    for number, cell in enumerate(_code_cells(content), 1):
        lines.append(f"{_MARK}{number}")
        starts.append((len(lines) + 1, number))
        source = _source(cell).split("\n")
        foreign = bool(source and _FOREIGN.match(source[0]))
        for text in source:
            if foreign or _MAGIC.match(text) or _MAGIC.search(text.rstrip()[-1:] or " "):
                shell.append((len(lines) + 1, text.lstrip().lstrip("!%")))
                text = _HIDDEN + text
            lines.append(text)
    return Notebook(content, raw, "\n".join(lines) + "\n", tuple(starts), tuple(shell))


def _code_cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in content["cells"] if isinstance(c, dict) and c.get("cell_type") == "code"]


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def find_in_notebook(raw: str, path: Path) -> list[Finding]:
    """Ties of the code cells and of the shell lines in them.

    Raises SyntaxError, its line counted in the cell's text, or ValueError.
    """
    book = read_notebook(raw)
    found = [_in_cell(f, book) for f in find_in_python(book.text, path)]
    for number, seen in find_in_shell_lines(list(book.shell), path):
        text = book.text.split("\n")[number - 1].removeprefix(_HIDDEN)
        span = Span(number, seen.start, number, seen.end)
        found.append(_in_cell(Finding(TIES[seen.tie], path, span, text.strip()), book))
    return sorted(found, key=lambda f: (f.cell or 0, f.span.line, f.span.column))


def _in_cell(finding: Finding, book: Notebook) -> Finding:
    cell, line = book.place(finding.span.line)
    shift = line - finding.span.line
    span = replace(finding.span, line=line, end_line=finding.span.end_line + shift)
    return replace(finding, span=span, cell=cell)


def with_text(book: Notebook, text: str) -> str:
    """The notebook's file with its code cells replaced by those of a rewritten text."""
    parts = re.split(rf"^{re.escape(_MARK)}\d+\n", text, flags=re.MULTILINE)
    sources = [p.removesuffix("\n") for p in parts[1:]]
    if parts[0].strip() and sources:
        sources[0] = f"{parts[0]}{sources[0]}"
    for cell, source in zip(_code_cells(book.content), sources, strict=True):
        plain = re.sub(rf"^{re.escape(_HIDDEN)}", "", source, flags=re.MULTILINE)
        if plain == _source(cell):
            continue
        is_list = isinstance(cell.get("source"), list)
        cell["source"] = plain.splitlines(keepends=True) if is_list else plain
    match = re.search(r"^( +|\t+)\"", book.raw, re.MULTILINE)
    indent: int | str | None = match[1] if match else None
    written = json.dumps(book.content, indent=indent, ensure_ascii=False)
    return written + ("\n" if book.raw.endswith("\n") else "")
