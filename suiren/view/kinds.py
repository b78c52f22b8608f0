"""What a document is: told from its fields, since a file does not say which command wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Fields that only one kind of document has, the first that fits counts.
_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ranks", ("busiest_rank",)),
    ("run", ("card", "step_time_s", "ops")),
    ("plan", ("best", "points")),
    ("step", ("parts_s", "layout")),
    ("goodput", ("goodput_share", "spent_s")),
    ("topology", ("wiring", "links")),
    ("validation", ("predicted", "overall")),
    ("numerics", ("findings",)),
)
#: Kinds with a step's timeline, roofline, memory and tables.
STEPS = frozenset({"run", "ranks"})


def kind_of(document: Mapping[str, Any]) -> str:
    """The kind of a document: its own word for it, else told from its fields, else `other`."""
    said = document.get("kind")
    if isinstance(said, str) and said:
        return said
    for kind, fields in _SIGNS:
        if all(name in document for name in fields):
            return kind
    return "other"


def title_of(kind: str, document: Mapping[str, Any]) -> str:
    """What a document is about, in a few words."""
    if kind == "run":
        return f"{document.get('script') or 'script'} on {card_of(kind, document)}"
    if kind == "ranks":
        one = document["busiest_rank"]
        return f"{one.get('script') or 'script'} on {document.get('world_size')} ranks"
    if kind == "step":
        return f"{document.get('model')} on {document.get('cluster')}"
    if kind == "plan":
        return str((document.get("model") or {}).get("name") or "plan")
    return str(document.get("title") or document.get("name") or kind)


def card_of(kind: str, document: Mapping[str, Any]) -> str:
    """The card or machine of a document; empty where it names none."""
    if kind == "run":
        return str(document["card"].get("name", ""))
    if kind == "ranks":
        return str((document.get("cluster") or {}).get("name", ""))
    if kind == "plan":
        return ", ".join(map(str, document.get("machines") or ()))
    return str(document.get("cluster") or document.get("card") or "")


def numbers_of(kind: str, document: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Step time, s, and peak memory, bytes, where a document tells them."""
    if kind in STEPS:
        return document.get("step_time_s"), document.get("peak_memory_bytes")
    if kind == "step":
        stages = document.get("memory") or []
        return document.get("step_s"), max((s["total_bytes"] for s in stages), default=None)
    if kind == "plan":
        best = (document.get("best") or [{}])[0]
        return best.get("step_s"), best.get("memory_bytes")
    return None, None


def step_document(kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of one card's step: the run's own, or that of the busiest rank."""
    found: Mapping[str, Any] = document["busiest_rank"] if kind == "ranks" else document
    return found
