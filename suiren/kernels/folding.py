"""What kernels that fold a dimension share: the monoids, their neutral numbers, pieces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.tiling import steps_of

#: By fold: the instruction between two tiles, and the one along an axis.
MONOIDS = {"sum": ("add", "row_sum"), "prod": ("mul", "row_prod"),
           "max": ("maximum", "row_max"), "min": ("minimum", "row_min")}  # fmt: skip


def neutral(kind: str, dtype: str) -> float:
    """The number that changes nothing in a fold of a format."""
    form = FORMATS[dtype]
    lowest, highest = -inf, inf
    if not form.is_float:
        bits = 1 if dtype == "b8" else form.bits
        signed = dtype.startswith("i")
        lowest = -(2.0 ** (bits - 1)) if signed else 0.0
        highest = 2.0 ** (bits - signed) - (bits < 64)
    return {"sum": 0.0, "prod": 1.0, "max": lowest, "min": highest}[kind]


def combine(core: Core, kind: str, target: Tile, tile: Tile) -> None:
    """Folds a tile into another of its shape."""
    getattr(core, MONOIDS[kind][0])(target, target, tile)


def fold_axis(core: Core, kind: str, tile: Tile, axis: int, dtype: str) -> Tile:
    """The tile folded along an axis, in new registers."""
    folded = core.registers(without(tile.shape, axis), dtype)
    getattr(core, MONOIDS[kind][1])(folded, tile, axis=axis)
    return folded


def without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """The shape with one position along an axis."""
    return tuple(1 if a == axis else size for a, size in enumerate(shape))


def piece_length(size: int, step: int, count: int) -> int:
    """Positions in each of `count` pieces of a dimension: whole tiles."""
    blocks = -(-size // step)
    return -(-blocks // count) * step


def piece_blocks(core: Core, size: int, step: int, count: int, number: Index) -> Iterator[Range]:
    """The tiles of piece `number` of `count`; none if the dimension ends before it."""
    length = piece_length(size, step, count)
    first = number * length
    for place in core.blocks(length, step, stop=-first + size):
        start = place.start + first
        yield Range(start, step, 1, start, size)


@dataclass(frozen=True, slots=True)
class Rows:
    """How a kernel that works along one dimension is tiled: the others are dealt out."""

    sizes: dict[str, int]
    steps: dict[str, int]
    along: str
    deal: dict[str, Any]
    """Options of its grids."""

    @classmethod
    def of(
        cls, names: tuple[str, ...], tensor: Tensor, along: str, tile: int, widest: int,
        deal: dict[str, Any],
    ) -> Rows:  # fmt: skip
        """Tiles of about `tile` elements; a last dimension not worked along is cut at `widest`."""
        steps = steps_of(tensor.shape, tile, widest if names[-1] != along else None)
        return cls(dict(zip(names, tensor.shape, strict=True)),
                   dict(zip(names, steps, strict=True)), along, deal)  # fmt: skip

    @property
    def axis(self) -> int:
        """The axis of the tile that is worked along."""
        return list(self.sizes).index(self.along)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a tile."""
        return tuple(self.steps.values())

    @property
    def edge_shape(self) -> tuple[int, ...]:
        """Shape of a tile of results."""
        return without(self.shape, self.axis)

    @property
    def size(self) -> int:
        """Positions worked along."""
        return self.sizes[self.along]

    @property
    def step(self) -> int:
        """Those of one tile."""
        return self.steps[self.along]

    def grid(self, core: Core, pieces: int = 0) -> Iterator[tuple[dict[str, Range], Index]]:
        """Deals out the other dimensions, and the numbers of pieces if there are any."""
        others = [d for d in self.sizes if d != self.along]
        axes: list[tuple[int, int] | int] = [(self.sizes[d], self.steps[d]) for d in others]
        for places in core.grid(*axes, *([pieces] if pieces else []), **self.deal):
            entries = places if len(axes) + bool(pieces) != 1 else (places,)
            ranges = dict(zip(others, entries, strict=False))
            yield ranges, entries[-1] if pieces else Index(0)

    def at(self, ranges: Mapping[str, Range], place: Range | None = None) -> dict[str, Range]:
        """All dimensions in order; the one worked along is at `place`, or a single position."""
        return {d: ranges.get(d) or place or Range(Index(0), 1) for d in self.sizes}
