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
        return f"{document.get('script') or 'script'} on {document['card'].get('name', '')}"
    if kind == "ranks":
        one = document["busiest_rank"]
        return f"{one.get('script') or 'script'} on {document.get('world_size')} ranks"
    if kind == "step":
        return f"{document.get('model')} on {document.get('cluster')}"
    if kind == "plan":
        return str((document.get("model") or {}).get("name") or "plan")
    return str(document.get("title") or document.get("name") or kind)


def step_document(kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of one card's step: the run's own, or that of the busiest rank."""
    found: Mapping[str, Any] = document["busiest_rank"] if kind == "ranks" else document
    return found
