"""Lines along which a kernel folds, and how many of them a core works on at once.

Lines are the rows of [M, N], or dimension N of [A, N, C]. A tile holds some whole lines, or,
where a line is too long for a core, a piece of them. Either way a tile reads runs of memory
that are as long as the tensor allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from suiren.core.index import Index, Range, index, whole
from suiren.core.language import Core
from suiren.core.tile import Tensor, View

At = tuple[Any, ...]


#: Tiles that keep the cores of any card busy; fewer, larger ones are made of what is beyond.
ENOUGH = 512


@dataclass(frozen=True, slots=True)
class Lines:
    """`across` lines at a time, `along` positions of each; `turns` times in one tile of a grid."""

    shape: tuple[int, ...]
    across: int
    along: int
    turns: int = 1
    resident: int = 1
    """Options of the grid, as in `Core.grid`."""
    fresh: bool = False

    @classmethod
    def of(
        cls, shape: tuple[int, ...], across: int | None = None, along: int | None = None,
        turns: int | None = None, elements: int = 8192, longest: int = 8192, resident: int = 1,
        fresh: bool = False,
    ) -> Lines:  # fmt: skip
        """About `elements` at a time; lines are kept whole if `longest` elements hold them.

        At least 64 neighbours are read at once where lines lie beside each other.
        """
        length = shape[1]
        count, least = (shape[0], 1) if len(shape) == 2 else (shape[2], min(shape[2], 64))
        others = 1 if len(shape) == 2 else shape[0]
        if along is None:
            along = length if length * least <= longest else even(length, elements // least)
        along = min(along, length)
        if across is None:
            spare = max(least, count * others // ENOUGH)
            across = min(count, spare, max(least, elements // along))
        across = min(across, count)
        tiles = others * -(-count // across)
        turns = turns_of(tiles, turns)
        return cls(shape, across, along, turns, resident, fresh)

    @property
    def length(self) -> int:
        """Positions of a line."""
        return self.shape[1]

    @property
    def are_whole(self) -> bool:
        """True if a tile holds lines from end to end."""
        return self.along >= self.length

    @property
    def axis(self) -> int:
        """The axis of a tile that runs along the lines."""
        return 1 if len(self.shape) == 2 else 0

    @property
    def block(self) -> tuple[int, int]:
        """Shape of a tile."""
        return (self.across, self.along) if self.axis == 1 else (self.along, self.across)

    @property
    def column(self) -> tuple[int, int]:
        """Shape of a tile with one number a line."""
        return (self.across, 1) if self.axis == 1 else (1, self.across)

    def deal(self, core: Core) -> Iterator[At]:
        """Every tile of the grid: where its lines lie."""
        dealt: dict[str, Any] = {"resident": self.resident, "fresh": self.fresh}
        lines = (self.shape[0 if self.axis == 1 else 2], self.across * self.turns)
        if self.axis == 1:
            for i in core.grid(lines, **dealt):
                yield (i,)
        else:
            yield from core.grid(self.shape[0], lines, **dealt)

    def turn(self, core: Core, tile: At) -> Iterator[At]:
        """The lines of a tile, `across` at a time."""
        *lead, dealt = tile
        for lines in turned(core, dealt, self.across):
            yield (*lead, lines)

    def tiles(self, core: Core) -> Iterator[At]:
        """All lines, `across` at a time: where they lie."""
        for tile in self.deal(core):
            yield from self.turn(core, tile)

    def blocks(self, core: Core) -> Iterator[Range]:
        """A loop over the blocks of a line; no loop if lines are whole."""
        if self.are_whole:
            yield whole(self.length)
        else:
            yield from core.blocks(self.length, self.along)

    def view(self, tensor: Tensor, at: At, along: Range) -> View:
        """The piece of a tensor of the same shape."""
        return tensor[(*at, along)] if self.axis == 1 else tensor[(at[0], along, at[1])]

    def numbers(self, tensor: Tensor, at: At) -> View:
        """The piece of a tensor with one number a line: [M] or [A, C]."""
        if self.axis == 1:
            return tensor[at].matrix((0,), ())
        return tensor[at].matrix((), (0,))


def even(length: int, most: int, grain: int = 64) -> int:
    """Positions in each of the fewest blocks of at most `most`, all about as long."""
    most = max(1, most)
    fair = ceil(length / ceil(length / most))
    return min(length, most, ceil(fair / grain) * grain)


def turns_of(tiles: int, turns: int | None = None, most: int = 16) -> int:
    """How many tiles one core should work through in a loop, if nobody said."""
    return max(1, min(most, tiles // ENOUGH)) if turns is None else turns


def turned(core: Core, dealt: Range, size: int) -> Iterator[Range]:
    """A loop over a range that was dealt out, `size` positions at a time; none past its extent."""
    if dealt.size == size:
        yield dealt
        return
    extent = dealt.extent or 0
    stop = -dealt.start + extent if extent % dealt.size else None
    for place in core.blocks(dealt.size, size, stop=stop):
        yield block(dealt.start + place.start, size, extent)


def block(start: int | Index, size: int, extent: int | None = None) -> Range:
    """`size` positions from `start`, which end at `extent` if that is given."""
    return Range(index(start), size, 1, index(start), extent)


def scalar(tensor: Tensor, *places: Any) -> View:
    """A single number of a tensor, as a tile of 1 × 1."""
    return tensor[places].matrix((), ())


def shaped(tensor: Tensor, *shape: int) -> Tensor:
    """The same numbers in memory under another shape."""
    return Tensor(tensor.name, shape, tensor.dtype)
