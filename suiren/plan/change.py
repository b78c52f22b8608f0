"""The smallest change that makes a question answerable: what would have to give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from suiren.fleet.layout import BadLayout
from suiren.fleet.model import BadModel
from suiren.plan.planner import Planner, find, prepare
from suiren.plan.problem import BadProblem, Problem
from suiren.plan.row import Row, measure
from suiren.units import show_time

#: Choices that a user may have fixed, the easiest to give up first.
_EASY = ("micro_batch", "recompute", "zero", "schedule", "vpp", "tp", "pp", "offload",
         "sequence_parallel", "precision")  # fmt: skip
_WORDS = {"micro_batch": "micro-batch", "recompute": "recomputation", "zero": "ZeRO stage",
          "tp": "tensor parallel degree", "pp": "pipeline depth", "offload": "offload",
          "vpp": "chunks a stage"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A changed question that has an answer."""

    sentence: str
    row: Row
    """The best layout under it."""


def smallest_change(planner: Planner) -> Change | None:
    """The first of the candidate changes, smallest first, under which a layout keeps all limits."""
    for words, problem in candidates(planner):
        try:
            changed = _same_model(planner, problem)
            found = find(changed, _quiet).found
        except (BadProblem, BadLayout, BadModel):
            continue
        if found.best:
            row = min(found.best, key=lambda r: measure(r, problem))
            return Change(f"{words}: {row.label} fits, {show_time(row.step_s)} a step", row)
    return None


def _same_model(planner: Planner, problem: Problem) -> Planner:
    """The planner for a changed question; parts are taken over where the model is the same."""
    same = (problem.model, problem.seq, problem.lora_rank, problem.framework)
    old = planner.problem
    if same == (old.model, old.seq, old.lora_rank, old.framework):
        return replace(planner, problem=problem)
    return prepare(problem)


def candidates(planner: Planner) -> Iterator[tuple[str, Problem]]:
    """(what is changed, the question): free choices first, then the model, then machines."""
    problem = planner.problem
    for name in _EASY:
        if name in problem.choices:
            rest = {n: v for n, v in problem.choices.items() if n != name}
            yield f"let the {_WORDS.get(name, name)} vary", replace(problem, choices=rest)
    if problem.choices:
        problem = replace(problem, choices={})
        yield "let all parts of the layout vary", problem
    seq = planner.model.seq
    for shorter in (seq // 2, seq // 4):
        if shorter >= 512:
            yield f"train on sequences of {shorter} tokens instead of {seq}", replace(
                problem, seq=shorter
            )
    if not problem.lora_rank and problem.framework == "pytorch":
        adapted = replace(problem, lora_rank=16)
        yield "train LoRA adapters of rank 16 instead of all weights", adapted
    for times in (2, 4, 8, 16):
        machines = tuple(replace(m, ranks=m.ranks * times, name=_more(m.name, times))
                         for m in problem.machines)  # fmt: skip
        yield f"take {machines[0].ranks:,} cards instead of {problem.machines[0].ranks:,}", replace(
            problem, machines=machines
        )


def _more(name: str, times: int) -> str:
    node, star, count = name.partition("*")
    return f"{node}*{int(count) * times}" if star and count.isdigit() else f"{name}*{times}"


def _quiet(what: str, done: int, total: int) -> None:
    """Nobody listens."""
