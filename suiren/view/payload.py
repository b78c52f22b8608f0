"""Everything a browser needs of one item: its document, what is drawn of it, its doubts."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from suiren.history.digest import to_text
from suiren.hw.chipfile import BadChipFile
from suiren.hw.fact import assumed
from suiren.hw.load import resolve_card
from suiren.hw.names import UnknownChip
from suiren.hw.spec import Card
from suiren.report.answer import Answer, NothingRan, answer
from suiren.report.ranks import RanksAnswer
from suiren.trace.text import TraceError, unpack_program
from suiren.view.chrome import timeline_of_events
from suiren.view.doubts import doubts_of
from suiren.view.kinds import STEPS, step_document
from suiren.view.links import graph_of
from suiren.view.sources import CannotShow, Item
from suiren.view.step_parts import parts_of_answer, parts_of_document, parts_of_ranks

#: The part of a record that holds its pictures. A long step is there at once, a later Suiren shows
#: what this one answered, and the trace of one rank does not tell how the others met it.
DRAWN = "drawn"


def drawn_of(found: Answer | RanksAnswer) -> dict[str, bytes]:
    """The part to keep beside the document of a run."""
    parts = parts_of_answer(found) if isinstance(found, Answer) else parts_of_ranks(found)
    return {DRAWN: gzip.compress(to_text(parts).encode(), 6, mtime=0)}


def payload(item: Item) -> dict[str, Any]:
    """The item as the front end takes it; raises CannotShow where its file is no use.

    `step` is None where there is no step to draw, `graph` where there is no topology. `notes`
    name what is missing: `no_trace`, `bad_trace`, `no_card`.
    """
    try:
        return _payload(item, item.document())
    except (KeyError, TypeError, AttributeError) as problem:
        raise CannotShow(
            f"{item.title} cannot be drawn as a {item.kind}: "
            f"its document has no {problem.args[0]!r}" if isinstance(problem, KeyError)
            else f"{item.title} cannot be drawn as a {item.kind}: {problem}"
        ) from None


def _payload(item: Item, document: Mapping[str, Any]) -> dict[str, Any]:
    notes: list[str] = []
    told: dict[str, Any] = {
        "record": item.row(), "kind": item.kind, "step": None, "graph": None, "notes": notes,
        "doubts": doubts_of(item.kind, document), "document": document,
    }  # fmt: skip
    if item.kind in STEPS:
        told["step"] = _step(item, document, notes)
    elif item.kind == "topology":
        told["graph"] = graph_of(document)
    elif item.kind == "trace":
        told["step"] = _chrome(item, document)
        told["document"] = {"title": item.title}
    return told


def _step(item: Item, document: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    one = step_document(item.kind, document)
    packed = item.part(DRAWN)
    if packed is not None:
        drawn = _unpacked(packed)
        if drawn is not None:
            return drawn
        notes.append("bad_trace")
    trace = item.part("trace") if item.kind == "run" else None
    if trace is None:
        notes += [] if notes else ["no_trace"]
        return parts_of_document(one)
    found = _answer_again(trace, one, notes)
    return parts_of_document(one) if found is None else parts_of_answer(found)


def _unpacked(packed: bytes) -> dict[str, Any] | None:
    """The pictures of a record; None where they are damaged."""
    try:
        drawn: dict[str, Any] = json.loads(gzip.decompress(packed))
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return drawn


def _answer_again(
    trace: bytes, document: Mapping[str, Any], notes: list[str]
) -> Answer | None:
    """The answer with its spans; None, and a note, where the trace or the card is not to be had."""
    try:
        card = _card(document)
    except (UnknownChip, BadChipFile, OSError):
        notes.append("no_card")
        return None
    try:
        return answer(unpack_program(trace, "the trace of the record"), card, advise=False)
    except (TraceError, NothingRan):
        notes.append("bad_trace")
        return None


def _card(document: Mapping[str, Any]) -> Card:
    told = document["card"]
    card = resolve_card(told["name"])
    if int(card.memory_bytes) == int(told["memory_bytes"]):
        return card
    return replace(card, memory_bytes=assumed(told["memory_bytes"], "as the run was given it"))


def _chrome(item: Item, document: Mapping[str, Any]) -> dict[str, Any]:
    try:
        drawn = timeline_of_events(document["traceEvents"])
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise CannotShow(f"{item.title} is no trace that can be drawn: {problem}") from None
    return {"timeline": drawn, "roofline": None, "memory": None, "tables": None, "flame": None}
