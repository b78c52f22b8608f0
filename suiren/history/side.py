"""One side of a comparison: a record of the history, or a JSON file that a command wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suiren.history.names import HistoryError
from suiren.history.store import History

#: By kind: keys that only its documents have, those of the wider documents first.
_MARKS = (
    ("ranks", ("busiest_rank", "world_size")),
    ("numerics", ("findings", "against")),
    ("step", ("layout", "parts_s")),
    ("goodput", ("goodput_share", "spent_s")),
    ("validation", ("not_predicted", "overall")),
    ("plan", ("best", "searched")),
    ("topology", ("links", "rings")),
    ("run", ("time_split_s", "ops")),
)


@dataclass(frozen=True)
class Side:
    """A document and what it is called."""

    name: str
    kind: str
    document: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


def side_named(name: str, history: Callable[[], History]) -> Side:
    """The side that a user means: a file that exists or ends in .json, else a record.

    Raises HistoryError in one sentence.
    """
    file = Path(name)
    if file.suffix == ".json" or file.is_file():
        return _of_file(file)
    store = history()
    record = store.find(name)
    title = f"{record.id} {record.title}" + (f" on {record.card}" if record.card else "")
    return Side(title, record.kind, store.document(record), record.facts)


def _of_file(file: Path) -> Side:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise HistoryError(f"{file} cannot be read: {problem.strerror}") from None
    except ValueError:
        raise HistoryError(f"{file} is not JSON; write one with `--json`") from None
    if isinstance(document, dict) and {"record", "document"} <= set(document):
        # what `suiren runs export` writes
        record = document["record"]
        return Side(str(file), record["kind"], document["document"], record["facts"])
    kind = kind_of(document)
    if kind is None:
        raise HistoryError(f"{file} holds no answer of Suiren's; write one with `--json`")
    return Side(str(file), kind, document)


def kind_of(document: object) -> str | None:
    """The kind of a document by what it holds; None if it is none of ours."""
    if not isinstance(document, Mapping):
        return None
    told = document.get("kind")
    if isinstance(told, str):
        return told
    return next((kind for kind, keys in _MARKS if set(keys) <= set(document)), None)


def alike(before: Side, after: Side) -> tuple[Side, Side]:
    """Both sides as one kind: of a run of many ranks, beside a run of one, the busiest rank.

    Raises HistoryError where they are of different kinds.
    """
    if before.kind == after.kind:
        return before, after
    if {before.kind, after.kind} == {"run", "ranks"}:
        return _busiest(before), _busiest(after)
    raise HistoryError(
        f"{before.name} is a {before.kind} and {after.name} a {after.kind}: "
        "only answers of one kind can be compared"
    )


def _busiest(side: Side) -> Side:
    if side.kind == "run":
        return side
    document = side.document["busiest_rank"]
    return Side(f"{side.name} (rank {document['rank']})", "run", document, side.facts)
