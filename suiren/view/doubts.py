"""The assumed facts that any document rests on, in one form for every view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def doubts_of(kind: str, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Facts that nobody published: name, value, kind, source, and the effect where it is told.

    Each answer writes them in its own way: a list with effects (runs), names with sources (steps
    and plans, and each of some centres), sentences (topologies), all facts with their kinds
    (goodput).
    """
    if kind == "ranks":
        return doubts_of("run", document.get("busiest_rank") or {})
    if kind == "centre":
        of_each = [d for one in document.get("centres", ()) for d in doubts_of("plan", one)]
        return list({(d["name"], d["source"]): d for d in of_each}.values())
    found = document.get("assumed")
    if found is None:
        facts = document.get("facts")
        found = [f for f in facts if _is_assumed(f)] if isinstance(facts, list) else []
    if isinstance(found, Mapping):
        return [_doubt(name=str(name), source=str(source)) for name, source in found.items()]
    return [_of(entry) for entry in found] if isinstance(found, (list, tuple)) else []


def _is_assumed(fact: Any) -> bool:
    return isinstance(fact, Mapping) and fact.get("kind") == "assumed"


def _of(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        return _doubt(source=str(entry))
    return _doubt(
        name=str(entry.get("name", "")), value=entry.get("value"),
        kind=str(entry.get("kind", "assumed")), source=str(entry.get("source", "")),
        effect=entry.get("effect_of_20_percent_more_percent"),
    )  # fmt: skip


def _doubt(
    *, name: str = "", value: Any = None, kind: str = "assumed", source: str = "",
    effect: Any = None,
) -> dict[str, Any]:  # fmt: skip
    return {"name": name, "value": value, "kind": kind, "source": source, "effect_percent": effect}
