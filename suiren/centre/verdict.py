"""Does it work: yes or no, by how much, and the smallest changes that would do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suiren.centre.changes import Change, changes
from suiren.centre.goal import Check, checks_of
from suiren.centre.study import Study


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, by how much, and what would do."""

    checks: tuple[Check, ...]
    changes: tuple[Change, ...]

    @property
    def holds(self) -> bool:
        """Whether every goal is reached."""
        return all(check.holds for check in self.checks)


def verdict(found: Study) -> Verdict:
    """The verdict on a study; without a goal it only says whether the jobs can run."""
    checks = checks_of(found)
    if all(check.holds for check in checks):
        return Verdict(checks, ())
    would = list(changes(found))
    missed = [check.name for check in checks if not check.holds]
    if not would and len(missed) > 1:
        for name in missed:
            alone = changes(_with_goal(found, name))
            would += [replace(change, goal=name) for change in alone]
    return Verdict(checks, tuple(would))


def _with_goal(found: Study, name: str) -> Study:
    """The study with one goal; a power goal stays, because it is a limit."""
    assert found.centre.goal is not None
    others = {n: None for n in ("days", "budget", "capital") if n != name}
    goal = found.centre.goal.model_copy(update=others)
    return replace(found, centre=replace(found.centre, goal=goal))
