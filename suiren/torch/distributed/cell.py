"""The ranks that share a rank's work if the script is even: reached through its collectives."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product


@dataclass(frozen=True)
class Axis:
    """One dimension of a mesh, as distances from the rank that stands for the cell."""

    offsets: tuple[int, ...]
    """Ascending; 0 is among them."""

    def __len__(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class Cell:
    """A block of ranks around one of them; places are coordinates along the axes."""

    rank: int
    axes: tuple[Axis, ...]

    def at(self, places: Sequence[int]) -> int:
        """The rank at these coordinates."""
        return self.rank + sum(
            axis.offsets[place] for axis, place in zip(self.axes, places, strict=True)
        )

    @property
    def own(self) -> tuple[int, ...]:
        """Coordinates of the rank that stands for the cell."""
        return tuple(axis.offsets.index(0) for axis in self.axes)

    @property
    def ordinary(self) -> tuple[int, ...]:
        """Coordinates one past its own on every axis: of a rank that is nothing special."""
        return tuple((own + 1) % len(axis) for own, axis in zip(self.own, self.axes, strict=True))

    @property
    def far(self) -> tuple[int, ...]:
        """Coordinates of the other end of every axis."""
        ends = zip(self.own, self.axes, strict=True)
        return tuple(len(axis) - 1 if own < len(axis) - 1 else 0 for own, axis in ends)

    @cached_property
    def ranks(self) -> frozenset[int]:
        """All of them."""
        return frozenset(
            self.rank + sum(steps) for steps in product(*(axis.offsets for axis in self.axes))
        )


def cell_of(
    rank: int, groups: Collection[tuple[int, ...]], others: Collection[int], world_size: int
) -> Cell:
    """The cell of a rank that took part in collectives of these groups.

    Groups that hold one of `others`, ranks known to do other work, do not count. Small groups
    come first, so that a group of all data and tensor parallel ranks adds nothing new.
    """
    axes: list[Axis] = []
    reached = {0}
    for group in sorted(groups, key=len):
        offsets = tuple(sorted(r - rank for r in group))
        if len(group) < 2 or any(r in group for r in others):
            continue
        new = set(offsets)
        starts = _tiled(new, new & reached)
        if new <= reached or starts is None:
            continue
        wider = {a + b for a in reached for b in starts}
        if len(wider) == len(reached) * len(starts):
            axes.append(Axis(starts))
            reached = wider
    if any(not 0 <= rank + o < world_size for o in reached):
        axes = []
    return Cell(rank, tuple(axes))


def _tiled(offsets: set[int], block: set[int]) -> tuple[int, ...] | None:
    """Where copies of a block begin that together are the offsets; None if they are not."""
    left, starts, low = set(offsets), [], min(block)
    for first in sorted(offsets):
        if first not in left:
            continue
        start = first - low
        copy = {start + o for o in block}
        if not copy <= left:
            return None
        left -= copy
        starts.append(start)
    return tuple(starts) if 0 in starts else None
