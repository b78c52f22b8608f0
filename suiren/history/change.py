"""What differs between two documents: figures, tables whose rows sum to a whole, texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import Any

Rows = dict[str, float]
"""Numbers by name."""
Documents = tuple[Mapping[str, Any], Mapping[str, Any]]
"""What is before and what is after."""
#: Rests below this share of their whole are rounding and not shown.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Change:
    """A number before and after; None where that side does not have it."""

    name: str
    before: float | None
    after: float | None
    unit: str
    """`s`, `bytes`, `J`, `W`, `FLOP`, `share`, `per_s`, `percent` or `count`."""

    @property
    def by(self) -> float:
        """After less before; what a side does not have counts as nothing."""
        return (self.after or 0.0) - (self.before or 0.0)

    @property
    def state(self) -> str:
        """`new`, `gone` or `changed`."""
        return "new" if self.before is None else "gone" if self.after is None else "changed"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that differ, the largest change first."""

    title: str
    rows: tuple[Change, ...]
    whole: Change | None = None
    """What the rows' changes sum to, where they divide something."""


@dataclass(frozen=True, slots=True)
class Text:
    """Something said in words that differs; empty where a side does not say it."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two documents of a kind, and nothing that does not."""

    kind: str
    before: str
    """What the first document is called: an id with its title, or a file."""
    after: str
    figures: tuple[Change, ...] = ()
    tables: tuple[Table, ...] = ()
    texts: dict[str, tuple[Text, ...]] = field(default_factory=dict)
    """By heading: how it was asked, what it rests on."""

    @property
    def is_empty(self) -> bool:
        """True where the two are equal."""
        return not (self.figures or self.tables or self.texts)


def rows_of(
    before: Mapping[str, float], after: Mapping[str, float], unit: str
) -> tuple[Change, ...]:
    """The rows that differ, the largest change first; equal changes by name."""
    found = [
        Change(name, before.get(name), after.get(name), unit)
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
    return tuple(sorted(found, key=lambda row: (-abs(row.by), row.name)))


def both(pair: Documents, rows: Callable[[Mapping[str, Any]], Rows]) -> tuple[Rows, Rows]:
    """The rows that a function reads from each document."""
    return rows(pair[0]), rows(pair[1])


def divided(
    title: str, whole: Change, before: Mapping[str, float], after: Mapping[str, float],
    rest: str = "the rest",
) -> Table | None:  # fmt: skip
    """A table of parts that sum to a whole on both sides; what no part tells is the row `rest`.

    None where nothing differs.
    """
    sides = []
    for parts, total in ((before, whole.before), (after, whole.after)):
        left = (total or 0.0) - fsum(parts.values())
        is_rounding = abs(left) <= ROUNDING * max(abs(total or 0.0), fsum(map(abs, parts.values())))
        sides.append(0.0 if is_rounding else left)
    if any(sides):
        before, after = {**before, rest: sides[0]}, {**after, rest: sides[1]}
    rows = rows_of(before, after, whole.unit)
    return Table(title, rows, whole) if rows else None


def listed(
    title: str, before: Mapping[str, float], after: Mapping[str, float], unit: str
) -> Table | None:
    """A table of rows that divide nothing; None where nothing differs."""
    rows = rows_of(before, after, unit)
    return Table(title, rows) if rows else None


def texts_of(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Text, ...]:
    """The texts that differ, in the order they are told."""
    return tuple(
        Text(name, before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys((*before, *after))
        if before.get(name, "") != after.get(name, "")
    )


def as_json(found: Difference) -> dict[str, object]:
    """The same as plain values."""
    return {
        "schema": 1,
        "kind": found.kind,
        "before": found.before,
        "after": found.after,
        "figures": [_change(row) for row in found.figures],
        "tables": [
            {
                "title": table.title,
                "whole": None if table.whole is None else _change(table.whole),
                "rows": [_change(row) for row in table.rows],
            }
            for table in found.tables
        ],
        "texts": {
            heading: [{"name": t.name, "before": t.before, "after": t.after} for t in texts]
            for heading, texts in found.texts.items()
        },
    }


def _change(row: Change) -> dict[str, object]:
    return {
        "name": row.name, "unit": row.unit, "before": row.before, "after": row.after,
        "change": row.by, "state": row.state,
    }  # fmt: skip
