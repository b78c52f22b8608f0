"""What a kernel built: loops, and in them instructions on tiles. Knows no chip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from suiren.core.index import Index
from suiren.core.tile import Tensor, Tile, View


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One instruction, movement or protocol step, where the author wrote it."""

    name: str
    """An instruction of the set, or load, store, wait, release, acquire, iota, edge, barrier."""
    tiles: tuple[Tile, ...] = ()
    """Destination first; for the protocol steps the tiles they name."""
    sources: tuple[Tile | float | Index, ...] = ()
    view: View | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    line: str = ""
    inside: tuple[int, ...] = ()
    """Of a product, how much of (m, n, k) lies inside its tensors, where that is less."""


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A loop over `extent` positions, `step` at a time; `stop` may end it earlier."""

    number: int
    extent: int
    step: int
    body: list[Step | Loop | Grid]
    start: int = 0
    stop: Index | None = None
    line: str = ""

    @property
    def longest(self) -> int:
        """How often it runs at most."""
        return max(0, -(-(self.extent - self.start) // self.step))

    def trips(self, iterations: Mapping[int, int]) -> int:
        """How often it runs with the loops around it at `iterations`."""
        end = self.extent
        if self.stop is not None:
            end = min(end, self.stop.at(iterations))
        return max(0, -(-(end - self.start) // self.step))


@dataclass(frozen=True, eq=False)
class Grid:
    """Tiles dealt out to the cores; every core works through its tiles in order.

    `first` and `count` take a part of them (all if `count` is None). `descending` deals the
    last tiles first. `square` deals them so that the tiles at work together form a block of
    the last two axes, walked along the axis that fetches less, instead of row after row.
    `resident` tiles share a core side by side; `fresh` lets a tile begin only when those
    before it have left the core, as a GPU's thread blocks do.
    """

    numbers: tuple[int, ...]
    """Loop numbers, one an axis."""
    extents: tuple[int, ...]
    steps: tuple[int, ...]
    body: list[Step | Loop | Grid]
    first: int = 0
    count: int | None = None
    descending: bool = False
    square: bool = False
    resident: int = 1
    fresh: bool = False
    line: str = ""

    @cached_property
    def trips(self) -> tuple[int, ...]:
        """Tiles along every axis."""
        return tuple(-(-e // s) for e, s in zip(self.extents, self.steps, strict=True))

    @cached_property
    def tiles(self) -> int:
        """Tiles dealt out."""
        return prod(self.trips) - self.first if self.count is None else self.count

    def iterations(self, tile: int) -> dict[int, int]:
        """Where the axes stand at tile number `tile` (from 0) of this grid."""
        number = self.first + tile
        if self.descending:
            number = prod(self.trips) - 1 - number
        places: dict[int, int] = {}
        for axis, size in zip(reversed(self.numbers), reversed(self.trips), strict=True):
            number, places[axis] = divmod(number, size)
        return places


Node = Step | Loop | Grid


@dataclass(frozen=True, eq=False)
class Program:
    """A kernel for given shapes: tensors, tiles and the nodes in order."""

    name: str
    tensors: tuple[Tensor, ...]
    tiles: tuple[Tile, ...]
    nodes: tuple[Node, ...]
    written: tuple[str, ...] = ()
    """Names of the tensors that are stored to."""

    def steps(self) -> Iterator[Step]:
        """Every step in the order of the text."""
        yield from walk(self.nodes)


def walk(nodes: tuple[Node, ...] | list[Node]) -> Iterator[Step]:
    """Every step of some nodes, loops entered once."""
    for node in nodes:
        if isinstance(node, Step):
            yield node
        else:
            yield from walk(node.body)
