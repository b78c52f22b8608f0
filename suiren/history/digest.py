"""What a list shows of a document: the card, the step's time, the memory, of each kind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

#: Where each kind of document holds its card, step time in seconds and peak memory in bytes.
_PLACES: dict[str, tuple[str, str, str]] = {
    "run": ("card.title", "step_time_s", "peak_memory_bytes"),
    "ranks": ("cluster.title", "step_time_s", "peak_memory_bytes"),
    "step": ("cluster", "step_s", "peak_memory_bytes"),
    "goodput": ("title", "step_s", ""),
    "topology": ("title", "", ""),
    "validation": ("", "", ""),
    "numerics": ("on", "step_time_s", ""),
    "plan": ("best.0.machine", "best.0.step_s", "best.0.memory_bytes"),
    "centre": ("centres.0.machines.card_title", "centres.0.jobs.0.step_s",
               "centres.0.jobs.0.memory_bytes"),
}
#: Kinds of records, in the order lists offer them.
KINDS = tuple(_PLACES)


def digest(kind: str, document: Mapping[str, Any]) -> tuple[str, float | None, int | None]:
    """(card, step in seconds, memory in bytes) of a document; "" and None where it has none."""
    card, step, memory = (look_up(document, place) for place in _PLACES.get(kind, ("", "", "")))
    if kind == "step" and memory is None:
        sizes = [m.get("total_bytes") for m in document.get("memory", ()) if isinstance(m, dict)]
        memory = max((s for s in sizes if isinstance(s, (int, float))), default=None)
    return (
        card if isinstance(card, str) else "",
        float(step) if _is_number(step) else None,
        int(memory) if _is_number(memory) else None,
    )


def look_up(document: Any, place: str) -> Any:
    """What stands at a place such as `best.0.step_s`; None where nothing does."""
    if not place:
        return None
    for key in place.split("."):
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, (list, tuple)) and key.isdigit() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def to_text(document: Any) -> str:
    """JSON that every reader takes: numbers that are not finite become text."""
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"), default=_item)
    except ValueError:
        return json.dumps(_finite(document), separators=(",", ":"), default=_item)


def _item(thing: Any) -> Any:
    """NumPy's scalars as Python's own, paths and the like as text."""
    return thing.item() if hasattr(thing, "item") else str(thing)


def _finite(thing: Any) -> Any:
    if isinstance(thing, float) and not math.isfinite(thing):
        return "nan" if math.isnan(thing) else "inf" if thing > 0 else "-inf"
    if isinstance(thing, Mapping):
        return {key: _finite(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_finite(item) for item in thing]
    return thing
