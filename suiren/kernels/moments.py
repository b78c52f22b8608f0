"""Running mean and squared deviations, block by block.

The moments of a block are merged with those before it as Chan, Golub and LeVeque (1979) do,
so that nothing cancels however long the sum. Blocks may be folded along one axis or both.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from suiren.core.index import Range
from suiren.core.language import Core
from suiren.core.tile import Tile


def fold(core: Core, target: Tile, tile: Tile, between: Tile | None = None) -> None:
    """Sums a tile down to the shape of `target`, rows first; `between` is [rows, 1]."""
    rows, cols = (a > b for a, b in zip(tile.shape, target.shape, strict=True))
    if rows and cols and between is not None:
        core.row_sum(between, tile, axis=1)
        core.row_sum(target, between, axis=0)
    elif rows:
        core.row_sum(target, tile, axis=0)
    elif cols:
        core.row_sum(target, tile, axis=1)
    else:
        core.cast(target, tile)


class Moments:
    """Mean, squared deviations and count of everything added so far; tiles of one shape."""

    def __init__(
        self, core: Core, block: tuple[int, int], shape: tuple[int, int], dtype: str
    ) -> None:
        self.core = core
        self.mean, self.squares, self.count = (core.registers(shape, dtype) for _ in range(3))
        self._here, self._more, self._step, self._share, self._both = (
            core.registers(shape, dtype) for _ in range(5)
        )
        self._work = core.registers(block, dtype)
        self._rows = core.registers((block[0], 1), dtype)

    def clear(self) -> None:
        """Nothing added so far."""
        for tile in (self.mean, self.squares, self.count):
            self.core.fill(tile, 0)

    def add(self, tile: Tile, places: Sequence[tuple[int, Range]]) -> None:
        """Adds a block that begins inside; `places` are the ranges along the folded axes.

        What lies past an edge must be zero in the tile.
        """
        core = self.core
        edges = [along for _, along in places if along.has_edge]
        core.fill(self._step, prod(along.size for _, along in places if not along.has_edge))
        for along in edges:
            core.fill(self._more, -along.counted + (along.extent or 0))
            core.minimum(self._more, self._more, along.size)
            core.mul(self._step, self._step, self._more)
        core.add(self._both, self.count, self._step)
        core.div(self._share, self._step, self._both)
        fold(core, self._here, tile, self._rows)
        core.div(self._here, self._here, self._step)
        core.sub(self._work, tile, self._here)
        for axis, along in places:
            core.edge(self._work, along, 0, axis=axis)
        core.mul(self._work, self._work, self._work)
        fold(core, self._more, self._work, self._rows)
        core.add(self.squares, self.squares, self._more)
        # the two means lie `here − mean` apart
        core.sub(self._here, self._here, self.mean)
        core.fma(self.mean, self._here, self._share, self.mean)
        core.mul(self._here, self._here, self._here)
        core.mul(self._share, self._share, self.count)
        core.fma(self.squares, self._here, self._share, self.squares)
        core.cast(self.count, self._both)
