"""A plan as plain values, units in the keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from suiren import __version__
from suiren.plan.answer import Answer, Ranked
from suiren.plan.row import Row, memory_of

#: Points of the picture that a document keeps.
MOST_POINTS = 2000
_FIELDS = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero", "micro_batch", "global_batch", "recompute",
           "schedule", "precision", "offload", "sequence_parallel")  # fmt: skip


def document(answer: Answer) -> dict[str, Any]:
    """Everything a plan says."""
    problem, model, found = answer.planner.problem, answer.planner.model, answer.outcome.found
    launch = answer.launch
    return {
        "kind": "plan", "suiren": __version__,
        "model": {"name": model.name, "params": model.params, "layers": model.layers,
                  "seq": model.seq, "lora_rank": problem.lora_rank,
                  "source": answer.planner.known.source, "framework": problem.framework},
        "machines": [f"{m.name}: {m.ranks} cards" for m in problem.machines],
        "goal": problem.goal, "limits": {k: v for k, v in asdict(problem.limits).items() if v},
        "tokens": problem.tokens, "global_batch": problem.global_batch,
        "choices": {n: list(v) for n, v in problem.choices.items()},
        "searched": found.searched, "of": answer.outcome.total, "feasible": found.fitting,
        "broken_limits": dict(found.broken), "is_whole": answer.outcome.is_whole,
        "lost": list(answer.outcome.lost), "seconds": answer.seconds,
        "best": [_ranked(one, answer) for one in answer.best],
        "points": _points(answer),
        "near_misses": _near(answer),
        "sensitivity": [asdict(s) for s in answer.swings],
        "launch": {"command": launch.command, "files": launch.files, "notes": list(launch.notes)}
        if launch else None,
        "assumed": answer.assumed,
        "unmeasured": is_unmeasured(answer),
    }  # fmt: skip


def _ranked(one: Ranked, answer: Answer) -> dict[str, Any]:
    row, problem = one.row, answer.planner.problem
    machine = problem.machines[row.machine]
    return {
        "rank": one.place, "machine": machine.name, "chips": row.layout.ranks, "label": row.label,
        "layout": {n: getattr(row.layout, n) for n in _FIELDS}, "step_s": row.step_s,
        "tokens_per_s": row.tokens_per_s, "mfu": row.mfu, "memory_bytes": row.memory_bytes,
        "memory_limit_bytes": memory_of(problem, machine), "energy_j": row.energy_j,
        "power_w": row.power_w, "cost": row.cost or None, "owners_bytes": row.owners_bytes,
        "parts_s": one.parts_s, "why": one.why, **_whole(row, answer),
        "alike": one.knobs,
        "twins": [
            {"label": twin.label, "layout": {n: getattr(twin.layout, n) for n in _FIELDS},
             "step_s": twin.step_s, "memory_bytes": twin.memory_bytes,
             "energy_j": twin.energy_j} for twin in one.twins
        ],
    }  # fmt: skip


def _whole(row: Row, answer: Answer) -> dict[str, float]:
    """What all tokens take, where their number is known."""
    tokens = answer.planner.problem.tokens
    if not tokens:
        return {}
    seconds = tokens / row.tokens_per_s
    return {"days": seconds / 86400, "total_energy_j": row.energy_j * seconds / row.step_s,
            "total_cost": row.cost * seconds / row.step_s}  # fmt: skip


def _points(answer: Answer) -> list[dict[str, Any]]:
    """Fitting layouts for a picture: the front, the best, and some of all others."""
    found, problem = answer.outcome.found, answer.planner.problem
    front = {id(row) for row in found.front}
    rows = [(row, True) for row in (*found.front, *found.best)]
    rows += [(row, fits) for row, fits in found.drawn]
    seen: set[tuple[Any, ...]] = set()
    points: list[dict[str, Any]] = []
    for row, fits in rows:
        key = row.machine, row.label, row.step_s, row.memory_bytes
        if key in seen or len(points) >= MOST_POINTS:
            continue
        seen.add(key)
        points.append({
            "label": row.label, "machine": problem.machines[row.machine].name,
            "step_s": row.step_s, "memory_bytes": row.memory_bytes, "energy_j": row.energy_j,
            "cost": row.cost or None, "chips": row.layout.ranks, "fits": fits,
            "front": id(row) in front,
        })  # fmt: skip
    return points


def _near(answer: Answer) -> list[dict[str, Any]]:
    problem = answer.planner.problem
    change = answer.change.sentence if answer.change else ""
    return [
        {"label": row.label, "machine": problem.machines[row.machine].name,
         "over_bytes": row.memory_bytes - memory_of(problem, problem.machines[row.machine]),
         "owners_bytes": row.owners_bytes, "change": change}
        for row in answer.outcome.found.near
    ]  # fmt: skip


def is_unmeasured(answer: Answer) -> bool:
    """Whether no fact of a machine's card was fitted on measurements of it."""
    cards = [m.cluster().card for m in answer.planner.problem.machines]
    return any(all(f.kind != "fitted" for _, f in card.facts()) for card in cards)
