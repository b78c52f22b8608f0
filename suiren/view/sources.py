"""What a user names, read: records of the history, JSON documents, saved traces, Chrome traces."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from suiren.history.digest import digest
from suiren.history.side import kind_of
from suiren.history.store import History, Record
from suiren.view.kinds import title_of

_TRACE_STARTS = b"suiren-trace"
_GZIP_STARTS = b"\x1f\x8b"


class CannotShow(ValueError):  # noqa: N818 - reads as what it is
    """Nothing to look at under this name; one sentence says why and what would do."""


@dataclass(frozen=True)
class Item:
    """One thing to look at."""

    id: str
    kind: str
    title: str
    made_at: str
    card: str
    step_s: float | None
    memory_bytes: int | None
    document: Callable[[], Mapping[str, Any]] = field(repr=False)
    part: Callable[[str], bytes | None] = field(repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def row(self) -> dict[str, Any]:
        """What a list shows of it."""
        return {"id": self.id, "kind": self.kind, "title": self.title, "made_at": self.made_at,
                "card": self.card, "step_s": self.step_s, "memory_bytes": self.memory_bytes,
                "tags": list(self.facts.get("tags", ()))}  # fmt: skip


def item_of_record(history: History, record: Record) -> Item:
    """A record of the history, its document and parts read when they are asked for."""
    return Item(
        record.id, record.kind, record.title, record.made_at, record.card, record.step_s,
        record.memory_bytes, lambda: history.document(record),
        lambda name: history.part(record, name), record.facts,
    )  # fmt: skip


def item_of_file(path: Path, number: int, on: str) -> Item:
    """A JSON document, a saved trace (timed on the card `on`) or a Chrome trace.

    Raises CannotShow where the file is none of them, or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise CannotShow(f"{path} cannot be read: {problem.strerror}") from None
    if data.startswith(_TRACE_STARTS):
        return _of_trace(path, data, number, on)
    if data.startswith(_GZIP_STARTS):
        data = _unpacked(path, data)
        if data.startswith(_TRACE_STARTS):
            return _of_trace(path, path.read_bytes(), number, on)
    try:
        document = json.loads(data)
    except ValueError:
        raise CannotShow(
            f"{path} is neither JSON nor a saved trace: give a file that --json, "
            "--trace or --save-trace wrote"
        ) from None
    if isinstance(document, list):
        document = {"traceEvents": document}
    if not isinstance(document, dict):
        raise CannotShow(f"{path} holds no document: give a file that --json or --trace wrote")
    if {"record", "document"} <= set(document):
        # what `suiren runs export` writes
        document = document["document"]
    kind = "trace" if "traceEvents" in document else kind_of(document) or "other"
    return _item(path, number, kind, document, {})


def _of_trace(path: Path, data: bytes, number: int, on: str) -> Item:
    from suiren.hw.load import resolve_card
    from suiren.report.answer import NothingRan, answer
    from suiren.report.document import document
    from suiren.trace.text import TraceError, unpack_program

    try:
        told = document(answer(unpack_program(data, str(path)), resolve_card(on)))
    except (TraceError, NothingRan) as problem:
        raise CannotShow(f"{problem}") from None
    return _item(path, number, "run", told, {"trace": data})


def _item(
    path: Path, number: int, kind: str, document: dict[str, Any], parts: Mapping[str, bytes]
) -> Item:
    card, step_s, memory_bytes = digest(kind, document)
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    title = path.name if kind in ("trace", "other") else title_of(kind, document)
    return Item(f"f{number}", kind, title, made, card, step_s, memory_bytes,
                lambda: document, parts.get)  # fmt: skip


def _unpacked(path: Path, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except EOFError:
        raise CannotShow(f"{path} ends in the middle: it was cut off") from None
    except (OSError, ValueError, zlib.error):
        raise CannotShow(f"{path} is damaged: it cannot be decompressed") from None
