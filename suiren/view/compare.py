"""Two items side by side: what the history tells of their difference, and whole bars to draw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suiren.history.change import Change, Table
from suiren.history.compare import difference
from suiren.history.names import HistoryError
from suiren.history.side import Side
from suiren.view.kinds import STEPS, step_document
from suiren.view.sources import CannotShow, Item

#: Rows of a table, those that changed most.
MOST_ROWS = 300
#: Fields that divide a step, by what is drawn of them.
_BARS = (("split", ("time_split_s", "parts_s")), ("phases", ("phases_s",)),
         ("memory", ("memory_by_kind_bytes",)))  # fmt: skip


def compared(a: Item, b: Item) -> dict[str, Any]:
    """What changed from `a` to `b`: figures, tables, texts; and parts of both, changed or not.

    A number is [name, before, after, unit], None on a side that does not have it; the units are
    those of `suiren.history.change.Change`. Raises CannotShow where the two are of different
    kinds.
    """
    one, two = dict(a.document()), dict(b.document())
    try:
        found = difference(Side(a.id, a.kind, one, dict(a.facts)),
                           Side(b.id, b.kind, two, dict(b.facts)))  # fmt: skip
    except HistoryError as problem:
        raise CannotShow(str(problem)) from None
    pair = [step_document(item.kind, document) if item.kind in STEPS else document
            for item, document in ((a, one), (b, two))]  # fmt: skip
    return {
        "a": a.row(), "b": b.row(), "kind": found.kind,
        "figures": [_change(one) for one in found.figures],
        "tables": [_table(table) for table in found.tables],
        "texts": {heading: [[t.name, t.before, t.after] for t in texts]
                  for heading, texts in found.texts.items()},
        "bars": {name: bars for name, fields in _BARS if (bars := _pairs(pair, fields))},
    }  # fmt: skip


def _change(one: Change) -> list[Any]:
    return [one.name, one.before, one.after, one.unit]


def _table(table: Table) -> dict[str, Any]:
    return {"title": table.title, "num_rows": len(table.rows),
            "rows": [_change(row) for row in table.rows[:MOST_ROWS]]}  # fmt: skip


def _pairs(pair: list[Mapping[str, Any]], fields: tuple[str, ...]) -> list[list[Any]]:
    """(name, in a, in b) of the first field that both have; names in the order of `a`."""
    for name in fields:
        one, two = (document.get(name) for document in pair)
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            return [[part, one.get(part, 0.0), two.get(part, 0.0)] for part in {**one, **two}]
    return []
