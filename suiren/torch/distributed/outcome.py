"""How a rank ended, and the ranks that did the same work."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.trace.program import Program


@dataclass(frozen=True)
class RankOutcome:
    """One rank that ran, standing for all that do the same work.

    `program.facts` holds `rank`, `world_size` and `groups` (see `groups.as_facts`).
    """

    ranks: tuple[int, ...]
    """The ranks it stands for, its own first."""
    program: Program
    exit_code: int
    ended: str
    """`finished`, `raised`, `exited`, `out of memory`, `interrupted` or `killed`."""
    error: str = ""
    """The script's own traceback, or one sentence that says what happened."""
