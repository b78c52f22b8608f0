"""Failures that are known, each with its reason, in `expected.toml` beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from suiren.conformance.verdict import Verdict

FILE = Path(__file__).with_name("expected.toml")


@dataclass(frozen=True, slots=True)
class Expected:
    """Failures of subjects that match `op`, in a check and a format, and why they stand."""

    op: str
    """A name, or a pattern such as `nn.functional.*`."""
    reason: str
    check: str = "*"
    dtype: str = "*"
    message: str = ""
    """A part of the message; empty for any."""

    def covers(self, verdict: Verdict) -> bool:
        """Whether this is one of the failures meant."""
        return (
            fnmatch(verdict.op, self.op)
            and fnmatch(verdict.check, self.check)
            and fnmatch(verdict.dtype, self.dtype)
            and self.message in verdict.message
        )


@cache
def expected() -> tuple[Expected, ...]:
    """Every row of the list."""
    rows = tomllib.loads(FILE.read_text())["failure"]
    return tuple(Expected(**row) for row in rows)


def reason_of(verdict: Verdict) -> str:
    """Why a failure is known; empty if it is not."""
    return next((row.reason for row in expected() if row.covers(verdict)), "")
