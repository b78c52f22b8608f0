"""The answer to a planner's question, complete: rows, reasons, changes, swings, how to launch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from suiren.fleet.layout import BadLayout
from suiren.plan.alike import alike
from suiren.plan.change import Change, smallest_change
from suiren.plan.launch import Launch, launch_of
from suiren.plan.planner import Planner
from suiren.plan.row import Row
from suiren.plan.search import Outcome
from suiren.plan.sensitivity import Swing, swings
from suiren.plan.why import parts_of, reason


@dataclass(frozen=True)
class Ranked:
    """A row, its place, the parts of its step, why it is not one place higher, and its twins."""

    place: int
    row: Row
    parts_s: dict[str, float]
    why: str
    twins: tuple[Row, ...] = ()
    knobs: str = ""
    """What the twins choose otherwise, to no effect."""


@dataclass(frozen=True)
class Answer:
    """Everything a plan says."""

    planner: Planner
    outcome: Outcome
    best: tuple[Ranked, ...]
    change: Change | None
    """What would have to give, where nothing keeps all limits."""
    swings: tuple[Swing, ...]
    launch: Launch | None
    assumed: dict[str, str]
    seconds: float


def answer_of(
    planner: Planner, outcome: Outcome, count: int, sensitivity: str, seconds: Callable[[], float]
) -> Answer:
    """The answer to a search. `sensitivity`: `none`, `main` or `all`."""
    ranked: list[Ranked] = []
    for place, one in enumerate(alike(outcome.found.best, count), 1):
        row, parts = one.row, parts_of(planner, one.row)
        above = ranked[-1] if ranked else None
        why = reason(above.row, row, above.parts_s, parts) if above else "the best found"
        ranked.append(Ranked(place, row, parts, why, one.twins, one.knobs))
    if not ranked:
        change = smallest_change(planner) if outcome.is_whole else None
        return Answer(planner, outcome, (), change, (), None, {}, seconds())
    best = ranked[0].row
    moved = () if sensitivity == "none" else tuple(
        sorted(swings(planner, best, sensitivity == "all"), key=lambda s: -s.swing_s)
    )  # fmt: skip
    return Answer(planner, outcome, tuple(ranked), None, moved, _launch(planner, best),
                  _assumed(planner, best), seconds())  # fmt: skip


def explained(
    planner: Planner, outcome: Outcome, count: int, sensitivity: str, seconds: Callable[[], float]
) -> Answer:
    """The answer; Ctrl-C while it is explained leaves out what takes long."""
    try:
        return answer_of(planner, outcome, count, sensitivity, seconds)
    except KeyboardInterrupt:
        stopped = replace(outcome, is_whole=False)
        return answer_of(planner, stopped, count, "none", seconds)


def _launch(planner: Planner, row: Row) -> Launch | None:
    if planner.problem.is_script:
        return None  # the script itself is what is run
    cluster = planner.problem.machines[row.machine].cluster()
    return launch_of(planner.model, row.layout, cluster, planner.known.config,
                     planner.problem.lora_rank)  # fmt: skip


def _assumed(planner: Planner, row: Row) -> dict[str, str]:
    try:
        return planner.step(row).assumed
    except BadLayout:
        return {}
