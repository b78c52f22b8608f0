"""Numerics, validations and plans beside each other; and any other document, leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from suiren.history.change import Change, Rows, Table, both, divided, listed
from suiren.history.digest import look_up

#: Endings of keys and the unit they tell.
_UNITS = (("_s", "s"), ("_bytes", "bytes"), ("_j", "J"), ("_w", "W"), ("_flop", "FLOP"),
          ("_share", "share"), ("_per_s", "per_s"))  # fmt: skip


# ---- numerics


def numerics(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    """Losses step by step, findings by kind, and how far the runs part by module and step."""
    pair = (before, after)
    yield listed("loss on the card", *both(pair, lambda d: _by_step(d, "losses", "card")), "")
    better = both(pair, lambda d: _by_step(d, "losses", "against"))
    yield listed("loss of the better run", *better, "")
    yield listed("findings", *both(pair, _findings), "count")
    yield listed("how far the runs part, by module", *both(pair, _by_module), "share")
    steps = both(pair, lambda d: _by_step(d, "by_step", "relative"))
    yield listed("how far the runs part, by step", *steps, "share")


def _by_step(document: Mapping[str, Any], rows: str, value: str) -> Rows:
    return _finite({f"step {row['step']}": row[value] for row in document.get(rows, ())})


def _by_module(document: Mapping[str, Any]) -> Rows:
    return _finite({row["module"]: row["relative"] for row in document.get("by_module", ())})


def _findings(document: Mapping[str, Any]) -> Rows:
    """How often each finding came up, by what happens where in the script."""
    found: dict[str, float] = {}
    for one in document.get("findings", ()):
        place = f"{one['file']}:{one['line']}" if one.get("file") else one.get("module", "")
        name = f"{one['what']} in {one['op']}, {place}"
        found[name] = found.get(name, 0.0) + one.get("times", 1)
    return found


def _finite(rows: Mapping[str, Any]) -> Rows:
    """Rows that are numbers; a NaN that became text is no row, and its step is told by findings."""
    return {name: float(v) for name, v in rows.items() if isinstance(v, (int, float))}


def _numerics_said(document: Mapping[str, Any]) -> dict[str, str]:
    parted = document.get("runs_part")
    where = f"step {parted['step']}, {parted['module']}, {parted['op']}" if parted else "nowhere"
    return {
        "card": str(document.get("on", "")), "against": str(document.get("against", "")),
        "ended": str(document.get("ended", "")), "the runs part at": where,
    }  # fmt: skip


# ---- validations


def validation(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    """Mean errors by chip, op and format, and what was not predicted."""
    pair = (before, after)
    yield listed("mean error by chip, op and format", *both(pair, _groups), "percent")
    yield listed("rows not predicted", *both(pair, _refused), "count")


def _groups(document: Mapping[str, Any]) -> Rows:
    return {" · ".join(filter(None, g["group"])): g["mape"] for g in document.get("chip_op", ())}


def _refused(document: Mapping[str, Any]) -> Rows:
    return {
        f"{r['hardware']} {r['op']}: {r['reason']}": float(r["rows"])
        for r in document.get("not_predicted", ())
    }


# ---- plans


def plan(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    """The best layout's parts and memory, and the step times of the layouts told."""
    pair = (before, after)
    for title, parts, whole, unit in (
        ("where the best layout's step goes", "parts_s", "step_s", "s"),
        ("memory of the best layout", "owners_bytes", "memory_bytes", "bytes"),
    ):
        values = [look_up(d, f"best.0.{whole}") for d in pair]
        sides = [look_up(d, f"best.0.{parts}") or {} for d in pair]
        whole_of = Change("the best layout", values[0], values[1], unit)
        yield divided(title, whole_of, sides[0], sides[1])
    yield listed("the best layouts", *both(pair, _layouts), "s")


def _layouts(document: Mapping[str, Any]) -> Rows:
    return {f"{b['machine']} {b['label']}": b["step_s"] for b in document.get("best", ())}


def _plan_said(document: Mapping[str, Any]) -> dict[str, str]:
    limits = document.get("limits") or {}
    return {
        "model": str(look_up(document, "model.name") or ""), "goal": str(document.get("goal", "")),
        "machines": ", ".join(document.get("machines", ())),
        "limits": ", ".join(f"{name} {value}" for name, value in limits.items()),
        "best machine": str(look_up(document, "best.0.machine") or ""),
        "best layout": str(look_up(document, "best.0.label") or ""),
    }  # fmt: skip


def _step_said(document: Mapping[str, Any]) -> dict[str, str]:
    layout = document.get("layout") or {}
    told = {"model": str(document.get("model", "")), "cluster": str(document.get("cluster", ""))}
    told["fits"] = {True: "yes", False: "no"}.get(document.get("fits", ""), "")
    return {**told, **{f"layout: {name}": str(value) for name, value in layout.items()}}


def _goodput_said(document: Mapping[str, Any]) -> dict[str, str]:
    return {"chips": str(document.get("title", "")), "seed": str(document.get("seed", ""))}


SAID: dict[str, Callable[[Mapping[str, Any]], dict[str, str]]] = {
    "numerics": _numerics_said,
    "plan": _plan_said,
    "step": _step_said,
    "goodput": _goodput_said,
}


# ---- any other document


def anything(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[Table | None]:
    """Every number of two documents by its place, a table a unit."""
    leaves = [dict(_leaves(document, "")) for document in (before, after)]
    units = dict.fromkeys(unit_of(place) for side in leaves for place in side)
    for unit in units:
        first, second = ({p: v for p, v in side.items() if unit_of(p) == unit} for side in leaves)
        yield listed(f"numbers ({unit})" if unit else "numbers", first, second, unit)


def _leaves(thing: Any, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _leaves(value, f"{place}.{key}" if place else str(key))
    elif isinstance(thing, (list, tuple)):
        for number, value in enumerate(thing):
            yield from _leaves(value, f"{place}.{number}")
    elif isinstance(thing, (int, float)) and not isinstance(thing, bool):
        yield place, float(thing)


def unit_of(place: str) -> str:
    """The unit that the last key of a place tells: `best.0.step_s` is in `s`."""
    keys = [key for key in place.split(".") if not key.isdigit()]
    last = keys[-1] if keys else ""
    if last.endswith("_per_s"):
        return "per_s"
    return next((unit for ending, unit in _UNITS if last.endswith(ending)), "")
