"""Two answers side by side: figures, parts of the step, memory, and every op and module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from suiren.history.digest import digest
from suiren.view.kinds import STEPS, step_document

#: Rows of a table, those that changed most.
MOST_ROWS = 200
_FIGURES = (
    ("step_time_s", "s"), ("samples_per_s", "per_s"), ("tokens_per_s", "per_s"), ("mfu", "share"),
    ("hfu", "share"), ("peak_memory_bytes", "bytes"), ("energy_j", "j"), ("average_power_w", "w"),
    ("hardware_flop", "flop"),
)  # fmt: skip


def compared(
    kind_a: str, a: Mapping[str, Any], kind_b: str, b: Mapping[str, Any]
) -> dict[str, Any]:
    """What changed from `a` to `b`. Seconds, bytes, joules, watts, FLOP; shares of one.

    Two runs, of one card or many, are compared by op and module; anything else by its figures.
    """
    if kind_a in STEPS and kind_b in STEPS:
        one, two = step_document(kind_a, a), step_document(kind_b, b)
        return {
            "figures": [{"name": n, "unit": unit, "a": _first(n, a, one), "b": _first(n, b, two)}
                        for n, unit in _FIGURES],
            "split": _pairs(one["time_split_s"], two["time_split_s"]),
            "phases": _pairs(one["phases_s"], two["phases_s"]),
            "memory": _pairs(one["memory_by_kind_bytes"], two["memory_by_kind_bytes"]),
            **{name: _tables(one[name], two[name]) for name in ("ops", "modules", "calls")},
        }  # fmt: skip
    figures = [
        {"name": name, "unit": unit, "a": digest(kind_a, a)[at], "b": digest(kind_b, b)[at]}
        for name, unit, at in (("step_time_s", "s", 1), ("peak_memory_bytes", "bytes", 2))
    ]
    split = _pairs(a.get("parts_s") or {}, b.get("parts_s") or {})
    return {"figures": figures, "split": split, "phases": [], "memory": [], "ops": [],
            "modules": [], "calls": []}  # fmt: skip


def _first(name: str, *documents: Mapping[str, Any]) -> Any:
    return next((d[name] for d in documents if d.get(name) is not None), None)


def _pairs(a: Mapping[str, float], b: Mapping[str, float]) -> list[list[Any]]:
    """(name, in a, in b), names in the order of `a`, those of `b` alone behind."""
    return [[name, a.get(name, 0.0), b.get(name, 0.0)] for name in {**a, **b}]


def _tables(
    a: Iterable[Mapping[str, Any]], b: Iterable[Mapping[str, Any]]
) -> list[list[Any]]:
    """(name, s in a, s in b, calls in a, calls in b), the largest change first."""
    one, two = {r["name"]: r for r in a}, {r["name"]: r for r in b}
    nothing = {"time_s": 0.0, "calls": 0}
    rows = []
    for name in {**one, **two}:
        before, after = one.get(name, nothing), two.get(name, nothing)
        rows.append([name, before["time_s"], after["time_s"], before["calls"], after["calls"]])
    return sorted(rows, key=lambda r: (-abs(r[2] - r[1]), r[0]))[:MOST_ROWS]
