"""One tie in one place, and a file that could not be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from suiren.port.tie import AS_IS, Tie, Verdict


@dataclass(frozen=True, slots=True)
class Span:
    """Where a piece of source stands: lines from 1, columns in characters from 0."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A tie, where it stands, and what a run showed."""

    tie: Tie
    path: Path
    span: Span
    source: str
    """The source line, without indentation."""
    action: str = ""
    """How the patch rewrites it; empty where it does not."""
    guard: str = ""
    """Why it is harmless here: it is done only where it can work. Empty for a finding."""
    cell: int | None = None
    """In a notebook the code cell, from 1; `span.line` then counts inside it."""
    confirmed: str = ""
    """What the run showed: `seen running`, `not reached`, or `raised: …`."""

    @property
    def verdict(self) -> Verdict:
        """What becomes of it."""
        if self.guard:
            return AS_IS
        return self.tie.verdict if self.action else self.tie.verdict_without_edit()

    @property
    def place(self) -> str:
        """`path:line:column`, the column from 1; in a notebook with the cell."""
        cell = f"cell {self.cell}:" if self.cell is not None else ""
        return f"{self.path}:{cell}{self.span.line}:{self.span.column + 1}"

    def with_confirmation(self, text: str) -> Finding:
        """The same finding with what a run showed."""
        return replace(self, confirmed=text)

    def row(self) -> dict[str, Any]:
        """The finding as JSON has it; the column counts from 1."""
        row: dict[str, Any] = {
            "kind": self.tie.name,
            "verdict": self.verdict,
            "runs_under_transfer": self.tie.under_transfer,
            "file": self.path.as_posix(),
            "line": self.span.line,
            "column": self.span.column + 1,
            "source": self.source,
            "advice": self.tie.advice,
        }
        if self.cell is not None:
            row["cell"] = self.cell
        if self.guard:
            row["guard"] = self.guard
        if self.confirmed:
            row["confirmed"] = self.confirmed
        return row


@dataclass(frozen=True, slots=True)
class Unread:
    """A file whose ties are not known."""

    path: Path
    reason: str
    line: int | None = None

    @property
    def sentence(self) -> str:
        """`could not be read: …, line N`."""
        where = f", line {self.line}" if self.line else ""
        return f"{self.path} could not be read: {self.reason}{where}"

    def row(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"file": self.path.as_posix(), "reason": self.reason, "line": self.line}
