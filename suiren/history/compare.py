"""Two documents of a kind beside each other: figures, parts of the step, memory, ops, texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import fsum
from typing import Any

from suiren.history import compare_others
from suiren.history.change import (
    ROUNDING,
    Change,
    Difference,
    Documents,
    Rows,
    Table,
    both,
    divided,
    listed,
    texts_of,
)
from suiren.history.digest import look_up
from suiren.history.figures import FIGURES, figures, measured
from suiren.history.side import Side, alike

Tell = Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[Table | None]]
#: What a run's documents say in words.
_SAID = (("card", "card.title"), ("values", "numerics"), ("outcome", "outcome"),
         ("inputs", "batch.inputs"))  # fmt: skip


def difference(before: Side, after: Side) -> Difference:
    """Everything that differs; raises HistoryError where the sides are of different kinds."""
    before, after = alike(before, after)
    kind, pair = before.kind, (before.document, after.document)
    texts = {
        "how it was asked": texts_of(_asked(before), _asked(after)),
        "what it says": texts_of(*(_said(kind, d) for d in pair)),
        "assumed facts it rests on": texts_of(*(assumed_in(d) for d in pair)),
    }
    tell: Tell = _TABLES.get(kind, compare_others.anything)
    return Difference(
        kind, before.name, after.name,
        figures(kind, *pair) if kind in FIGURES else (),
        tuple(table for table in tell(*pair) if table is not None),
        {heading: found for heading, found in texts.items() if found},
    )  # fmt: skip


# ---- texts


def _asked(side: Side) -> dict[str, str]:
    facts = side.facts
    told = {"command": str(facts.get("command", ""))}
    told["script's hash"] = str(facts.get("script_sha256", ""))[:16]
    versions = facts.get("versions") or {"suiren": side.document.get("suiren", "")}
    return {**told, **{f"version of {name}": str(text) for name, text in versions.items()}}


def _said(kind: str, document: Mapping[str, Any]) -> dict[str, str]:
    if kind == "run":
        return {name: _plain(look_up(document, place)) for name, place in _SAID}
    if kind in compare_others.SAID:
        return compare_others.SAID[kind](document)
    return {}


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def assumed_in(document: Mapping[str, Any]) -> dict[str, str]:
    """By name: value, kind and source of the facts that a document says it rests on."""
    if "busiest_rank" in document:
        document = document["busiest_rank"]
    told = document.get("assumed", document.get("facts", ()))
    if isinstance(told, Mapping):
        return {str(name): str(source) for name, source in told.items()}
    return {
        one["name"]: f"{measured(one['value'])}, {one['kind']}: {one['source']}"
        for one in told
        if isinstance(one, Mapping) and {"name", "value", "kind", "source"} <= set(one)
    }


# ---- tables of a run


def _run(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    pair = (before, after)
    step = _whole("step time", pair, "step_time_s", "s")
    yield divided("where the step goes", step, *_mapped(pair, "time_split_s"))
    yield divided("by phase", step, *_mapped(pair, "phases_s"), rest=IDLE)
    for title, place in (("by op", "ops"), ("by module", "modules"), ("by call", "calls")):
        yield divided(title, step, *_busy(pair, place))
    memory = _whole("memory of the step at its peak", pair, "steady_peak_memory_bytes", "bytes")
    yield divided("memory by kind", memory, *_mapped(pair, "memory_by_kind_bytes"))
    yield divided("memory by owner", memory, *both(pair, _owners))
    yield listed("hazards, a step", *both(pair, _hazards), "count")


#: What is left of a step beside the sum of its spans; below zero where spans overlap.
IDLE = "idle, less what overlaps"
BEYOND = "rows beyond those kept"


def _busy(pair: Documents, place: str) -> tuple[Rows, Rows]:
    """Rows of a long table by name in seconds, with those it left out and the idle time."""

    def read(document: Mapping[str, Any]) -> Rows:
        rows: Rows = {}
        for row in document.get(place, ()):
            rows[row["name"]] = rows.get(row["name"], 0.0) + row["time_s"]
        busy = fsum(document.get("phases_s", {}).values())
        beyond = busy - fsum(rows.values())
        if beyond > 1e-9 * busy:
            rows[BEYOND] = beyond
        rows[IDLE] = _but_rounding(document.get("step_time_s", 0.0), rows)
        return rows

    return both(pair, read)


def _but_rounding(whole: float, rows: Rows) -> float:
    left = whole - fsum(rows.values())
    return 0.0 if abs(left) <= ROUNDING * abs(whole) else left


def _owners(document: Mapping[str, Any]) -> Rows:
    found: Rows = {}
    for one in document.get("memory_owners", ()):
        name = f"{one['kind']} {one['name']}"
        found[name] = found.get(name, 0.0) + one["bytes"]
    return found


def _hazards(document: Mapping[str, Any]) -> Rows:
    return {f"{h['kind']}: {h['op']}": float(h["count"]) for h in document.get("hazards", ())}


def _whole(name: str, pair: Documents, place: str, unit: str) -> Change:
    before, after = (look_up(document, place) for document in pair)
    return Change(
        name, None if before is None else float(before), None if after is None else float(after),
        unit,
    )  # fmt: skip


def _mapped(pair: Documents, place: str) -> tuple[Rows, Rows]:
    return both(pair, lambda d: {k: float(v) for k, v in (look_up(d, place) or {}).items()})


# ---- tables of other kinds


def _ranks(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    pair = (before, after)
    yield listed("by collective", *both(pair, _collectives), "s")
    yield from _run(before.get("busiest_rank", {}), after.get("busiest_rank", {}))


def _collectives(document: Mapping[str, Any]) -> Rows:
    found: Rows = {}
    for one in document.get("collectives", ()):
        name = f"{one['name']} of {one['ranks']} ranks"
        found[name] = found.get(name, 0.0) + one["time_s"]
    return found


def _step(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    pair = (before, after)
    step = _whole("step time", pair, "step_s", "s")
    yield divided("where the step goes", step, *_mapped(pair, "parts_s"))
    fullest = (_fullest(before), _fullest(after))
    memory = _whole("memory of the fullest stage", fullest, "total_bytes", "bytes")
    yield divided("memory by kind", memory, *_mapped(fullest, "owners_bytes"))


def _fullest(document: Mapping[str, Any]) -> Mapping[str, Any]:
    empty: dict[str, Any] = {}
    return max(document.get("memory", ()), key=lambda m: float(m["total_bytes"]), default=empty)


def _goodput(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    pair = (before, after)
    whole = _whole("the time looked at", pair, "horizon_s", "s")
    yield divided("where the time goes", whole, *_mapped(pair, "spent_s"))
    yield listed("failures", *_mapped(pair, "failures"), "count")


_TABLES: dict[str, Tell] = {
    "run": _run,
    "ranks": _ranks,
    "step": _step,
    "goodput": _goodput,
    "numerics": compare_others.numerics,
    "validation": compare_others.validation,
    "plan": compare_others.plan,
}
