"""Rows that a user would not tell apart, told as one answer: the same split, as fast, as large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from suiren.plan.row import Row

#: Rows of one split whose steps and memories differ by less, as shares, are alike.
STEP_SHARE, MEMORY_SHARE = 1e-3, 2e-2
_SPLIT = ("tp", "pp", "vpp", "cp", "ep", "dp", "micro_batch", "precision")
_KNOBS = {"zero": "zero", "recompute": "recompute", "offload": "offload", "schedule": "schedule",
          "sequence_parallel": "sequence parallel"}  # fmt: skip
_SAID = {"optimizer": "of the optimizer", "True": "on", "False": "off"}


@dataclass(frozen=True, slots=True)
class Alike:
    """The best row of some that are alike, and the others."""

    row: Row
    twins: tuple[Row, ...] = ()

    @property
    def knobs(self) -> str:
        """What the others choose otherwise, to no effect; empty without others."""
        found = []
        for name, word in _KNOBS.items():
            own = getattr(self.row.layout, name)
            others = dict.fromkeys(getattr(row.layout, name) for row in self.twins)
            said = [_SAID.get(str(value), str(value)) for value in others if value != own]
            found += [f"{word} {' or '.join(said)}"] if said else []
        return ", ".join(found)


def alike(rows: Sequence[Row], count: int) -> list[Alike]:
    """The first `count` answers of rows in order, each with its twins among all of them."""
    groups: list[list[Row]] = []
    by_split: dict[tuple[object, ...], list[list[Row]]] = {}
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = (row.machine, row.layout.ranks, row.label)
        if key in seen:
            continue
        seen.add(key)
        mine = by_split.setdefault((row.machine, *(getattr(row.layout, n) for n in _SPLIT)), [])
        group = next((group for group in mine if _is_alike(group[0], row)), None)
        if group is not None:
            group.append(row)
        elif len(groups) < count:
            groups.append([row])
            mine.append(groups[-1])
    return [Alike(group[0], tuple(group[1:])) for group in groups]


def _is_alike(one: Row, other: Row) -> bool:
    step = abs(other.step_s / one.step_s - 1)
    return step < STEP_SHARE and abs(other.memory_bytes / one.memory_bytes - 1) < MEMORY_SHARE
