"""What a document is about, and which part of it tells of one card's step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Kinds with a step's timeline, roofline, memory and tables.
STEPS = frozenset({"run", "ranks"})


def title_of(kind: str, document: Mapping[str, Any]) -> str:
    """What a document is about, in a few words."""
    if kind in STEPS:
        return str(step_document(kind, document).get("script") or "script")
    model = document.get("model")
    if isinstance(model, Mapping):
        model = model.get("name")
    return str(model or document.get("title") or document.get("name") or kind)


def step_document(kind: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document of one card's step: the run's own, or that of the busiest rank."""
    found: Mapping[str, Any] = document["busiest_rank"] if kind == "ranks" else document
    return found
