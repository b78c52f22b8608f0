"""Sorting rows: sort, argsort and top-k of rows that fit a tile, and top-k of longer ones.

A row is loaded whole, the order of its elements comes from the vector engine's sorting network,
and values and places are taken in that order. The first of two equals comes first. A few best
are picked one by one where that is less work. Rows longer than a tile are sorted by
`sort_long.py`; their best `K` come from the best of every tile.
"""

from __future__ import annotations

from math import copysign
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.instruction import INSTRUCTIONS, network_steps
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.folding import neutral, without
from suiren.kernels.tiling import compute_format

#: Lane operations an element: of one round of picking, and of a step of the sorting network.
_ROUND_LANES, _SORT_LANES = 4.0, INSTRUCTIONS["argsort"].lanes
#: What infinities count as in a row from which numbers are picked.
_HUGE = 3e38


def worst(dtype: str, descending: bool) -> float:
    """The number that comes last in an order."""
    return neutral("max" if descending else "min", dtype)


@kernel("x T[M,N] -> y T[M,N]; order i64[M,N]", M=32, N=100, T="f32")
def sort(
    core: Core, x: Tensor, y: Tensor, order: Tensor, descending: bool = False, tile: int = 2048,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """Rows in order and where each element came from. Options of a grid may follow."""
    rows, cols = x.shape
    tm = max(1, min(rows, tile // cols))
    held = core.scratchpad((tm, cols), x.dtype, stages)
    values, places = (core.scratchpad((tm, cols), t.dtype, 2) for t in (y, order))
    everywhere = Range(Index(0), cols)
    for i in core.grid((rows, tm), **deal):
        core.load(held, x[i, everywhere])
        core.wait(held)
        core.acquire(values, places)
        core.argsort(places, held, axis=1, descending=descending)
        core.take(values, held, places, axis=1)
        core.release(held)
        core.store(y[i, everywhere], values)
        core.store(order[i, everywhere], places)


@kernel("x T[M,N] -> y T[M,K]; index i64[M,K]", M=32, N=100, K=5, T="f32")
def topk(
    core: Core, x: Tensor, y: Tensor, index: Tensor, largest: bool = True, tile: int = 2048,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The K largest (or smallest) of every row, in order, and their places."""
    rows, cols = x.shape
    tm = max(1, min(rows, tile // cols))
    held = core.scratchpad((tm, cols), x.dtype, stages)
    found = _Best(core, (tm, cols), y.shape[1], y.dtype, largest)
    everywhere, best = Range(Index(0), cols), Range(Index(0), y.shape[1])
    for i in core.grid((rows, tm), **deal):
        core.load(held, x[i, everywhere])
        core.wait(held)
        found.choose(held)
        core.release(held)
        core.store(y[i, best], found.values)
        core.store(index[i, best], found.places)


@kernel("x T[M,N] -> y T[M,K]; index i64[M,K]; part T[M,C]; place i64[M,C]",
        M=4, N=10000, K=5, C=15, T="f32")  # fmt: skip
def topk_long(
    core: Core, x: Tensor, y: Tensor, index: Tensor, part: Tensor, place: Tensor,
    largest: bool = True, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The same for rows of any length: the K best of each of C/K pieces first, then of those."""
    rows, cols = x.shape
    kept, count = y.shape[1], part.shape[1]
    pieces, length = count // kept, -(-cols // (count // kept))
    if length < kept or count % kept:
        raise KernelMistake(f"topk_long: {count} candidates of rows of {cols} are not the best "
                            f"{kept} of each of several pieces")  # fmt: skip
    held = core.scratchpad((length,), x.dtype, stages)
    first = _Best(core, (length,), kept, part.dtype, largest)
    for i, b in core.grid(rows, pieces, **deal):
        core.load(held, x[i, Range(b * length, length)], pad=worst(x.dtype, largest))
        core.wait(held)
        first.choose(held)
        core.release(held)
        core.add(first.places, first.places, b * length)
        core.store(part[i, Range(b * kept, kept)], first.values)
        core.store(place[i, Range(b * kept, kept)], first.places)
    core.barrier()
    values, places = (core.scratchpad((count,), t.dtype, 2) for t in (part, place))
    last = _Best(core, (count,), kept, y.dtype, largest)
    best = Range(Index(0), kept)
    for i in core.grid(rows, **deal):
        core.load(values, part[i, Range(Index(0), count)])
        core.load(places, place[i, Range(Index(0), count)])
        core.wait(values, places)
        last.choose(values, places)
        core.release(values, places)
        core.store(y[i, best], last.values)
        core.store(index[i, best], last.places)


class _Best:
    """The first of rows in order: `values` and `places`, tiles to be stored."""

    def __init__(
        self, core: Core, shape: tuple[int, ...], count: int, dtype: str, descending: bool
    ) -> None:
        self.core, self.descending, self.axis = core, descending, len(shape) - 1
        self.front = Range(Index(0), count)
        few = (*shape[:-1], count)
        self.which, self.chosen = core.registers(few, "i32"), core.registers(few, "i32")
        self.dtype = compute_format(dtype)
        self.values = core.scratchpad(few, dtype, 2)
        self.places = core.scratchpad(few, "i64", 2)

    def choose(self, held: Tile, places: Tile | None = None) -> None:
        """Takes the first of `held`; their places come from `places`, or are those in the tile."""
        core, axis = self.core, self.axis
        core.acquire(self.values, self.places)
        core.iota(self.which, self.front, axis=axis)
        if _ROUND_LANES * self.front.size < _SORT_LANES * network_steps(held.shape[axis]):
            self._pick(held)
        else:
            order = core.registers(held.shape, "i32")
            core.argsort(order, held, axis=axis, descending=self.descending)
            core.take(self.chosen, order, self.which, axis=axis)
        core.take(self.values, held, self.chosen, axis=axis)
        if places is None:
            core.cast(self.places, self.chosen)
        else:
            core.take(self.places, places, self.chosen, axis=axis)

    def _pick(self, held: Tile) -> None:
        """The places of the best, one a round; what was chosen becomes worse than any number."""
        core, axis = self.core, self.axis
        work = core.registers(held.shape, self.dtype)
        cols, one = held.shape[axis], without(held.shape, axis)
        out = worst(work.dtype, self.descending)
        if FORMATS[work.dtype].is_float:
            (core.maximum if self.descending else core.minimum)(work, held, copysign(_HUGE, out))
        else:
            core.cast(work, held)
        at, everywhere = core.registers(one, "i32"), core.registers(held.shape, "i32")
        hit, mine = core.registers(held.shape, "i32"), core.registers(self.which.shape, "i32")
        core.iota(everywhere, Range(Index(0), cols), axis=axis)
        core.fill(self.chosen, 0)
        for number in core.loop(self.front.size):
            (core.row_argmax if self.descending else core.row_argmin)(at, work, axis=axis)
            core.eq(mine, self.which, number)
            core.select(self.chosen, mine, at, self.chosen)
            core.eq(hit, everywhere, at)
            core.select(work, hit, out, work)
