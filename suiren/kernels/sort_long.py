"""Sorting rows of any length: tiles are sorted, then runs merged in pairs until one is left.

Each pass over memory doubles the runs. So that every core merges an equal share, a merge path
is cut first: for every tile of the result, bisection finds how many elements come from the
first of its two runs. The tile then loads exactly its elements, a piece of either run, merges
them, and stores them. Values and places go to and fro between the results and spare tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.kernels.gather import NOWHERE
from suiren.kernels.sort import worst

Pair = tuple[Tensor, Tensor]


@kernel("x T[M,N] -> y T[M,N]; order i64[M,N]; spare T[M,N]; spare_order i64[M,N]; cut i64[M,C]",
        M=1, N=10000, C=3, T="f32")  # fmt: skip
def sort_long(
    core: Core, x: Tensor, y: Tensor, order: Tensor, spare: Tensor, spare_order: Tensor,
    cut: Tensor, descending: bool = False, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """Rows in order and where each element came from; C tiles a row. Grid options may follow."""
    rows, cols = x.shape
    tiles = cut.shape[1]
    step = ceil(cols / tiles)
    if tiles < 2 or ceil(cols / step) != tiles:
        raise KernelMistake(
            f"sort_long: rows of {cols} are not {tiles} tiles of equal size; "
            f"{ceil(cols / step)} of {step} would be; `sort` takes one"
        )
    passes = ceil(log2(tiles))
    ends: list[Pair] = [(y, order), (spare, spare_order)]
    if passes % 2:
        ends.reverse()
    _sort_tiles(core, x, ends[0], step, descending, stages, deal)
    for number in range(passes):
        source, target = ends[number % 2], ends[1 - number % 2]
        runs = _Runs(rows, cols, step, step << number, descending)
        core.barrier()
        _cut(core, runs, source[0], cut, deal)
        core.barrier()
        _merge(core, runs, source, target, cut, stages, deal)


def _sort_tiles(
    core: Core, x: Tensor, target: Pair, step: int, descending: bool, stages: int,
    deal: dict[str, Any],
) -> None:  # fmt: skip
    held = core.scratchpad((step,), x.dtype, stages)
    values, places = (core.scratchpad((step,), t.dtype, 2) for t in target)
    local = core.registers((step,), "i32")
    for i, j in core.grid(x.shape[0], (x.shape[1], step), **deal):
        core.load(held, x[i, j], pad=worst(x.dtype, descending))
        core.wait(held)
        core.acquire(values, places)
        core.argsort(local, held, axis=0, descending=descending)
        core.take(values, held, local, axis=0)
        core.release(held)
        core.add(places, local, j.start)
        core.store(target[0][i, j], values)
        core.store(target[1][i, j], places)


@dataclass(frozen=True, slots=True)
class _Runs:
    """Rows of sorted runs of `length`, merged in pairs; the results come in tiles of `step`."""

    rows: int
    cols: int
    step: int
    length: int
    descending: bool

    def lengths(self, core: Core, at: Tile) -> tuple[Tile, Tile, Tile, Tile]:
        """Of tiles that start at `at`: their place in the pair, its start, and both lengths."""
        start, ahead, first, second = (core.registers(at.shape, "i64") for _ in range(4))
        core.floor_divide(start, at, 2 * self.length)
        core.mul(start, start, 2 * self.length)
        core.sub(ahead, at, start)
        core.sub(second, self.cols, start)
        core.minimum(first, second, self.length)
        core.sub(second, second, first)
        core.minimum(second, second, self.length)
        return ahead, start, first, second


def _cut(core: Core, runs: _Runs, source: Tensor, cut: Tensor, deal: dict[str, Any]) -> None:
    """How many elements ahead of each tile come from the first run of its pair."""
    tiles = cut.shape[1]
    count = min(tiles, 128)
    at, low, high, middle, place = (core.registers((count,), "i64") for _ in range(5))
    more, open_, both = (core.registers((count,), "i32") for _ in range(3))
    one, other = (core.scratchpad((count,), source.dtype, 2) for _ in range(2))
    out = core.scratchpad((count,), cut.dtype, 2)
    for i, t in core.grid(runs.rows, (tiles, count), **deal):
        core.iota(at, t * runs.step, axis=0)
        ahead, start, first, second = runs.lengths(core, at)
        core.sub(low, ahead, second)
        core.maximum(low, low, 0)
        core.minimum(high, ahead, first)
        for _ in core.loop(ceil(log2(runs.length + 1))):
            core.lt(open_, low, high)
            core.add(middle, low, high)
            core.floor_divide(middle, middle, 2)
            core.add(place, start, middle)
            core.select(place, open_, place, NOWHERE)
            core.load(one, source[i, place])
            core.sub(place, ahead, middle)
            core.add(place, place, start)
            core.add(place, place, runs.length - 1)
            core.select(place, open_, place, NOWHERE)
            core.load(other, source[i, place])
            core.wait(one, other)
            (core.ge if runs.descending else core.le)(more, one, other)
            core.release(one, other)
            core.both(both, more, open_)
            core.add(place, middle, 1)
            core.select(low, both, place, low)
            core.negate(more, more)
            core.both(both, more, open_)
            core.select(high, both, middle, high)
        core.acquire(out)
        core.cast(out, low)
        core.store(cut[i, t], out)


def _merge(
    core: Core, runs: _Runs, source: Pair, target: Pair, cut: Tensor, stages: int,
    deal: dict[str, Any],
) -> None:  # fmt: skip
    """Merges every tile of the result from its pieces of two runs."""
    step, tiles = runs.step, cut.shape[1]
    begin, end = (core.scratchpad((1,), cut.dtype, stages) for _ in range(2))
    at, last, taken, skipped = (core.registers((1,), "i64") for _ in range(4))
    mask = core.registers((1,), "i32")
    values = core.scratchpad((step,), source[0].dtype, stages)
    places = core.scratchpad((step,), source[1].dtype, stages)
    here, there, order = (core.registers((step,), "i64") for _ in range(3))
    inside = core.registers((step,), "i32")
    merged, moved = (core.scratchpad((step,), t.dtype, 2) for t in target)
    for i, t in core.grid(runs.rows, tiles, **deal):
        core.load(begin, cut[i, Range(t, 1)])
        core.load(end, cut[i, Range(t + 1, 1)])
        core.wait(begin, end)
        core.fill(at, t * step)
        ahead, start, first, second = runs.lengths(core, at)
        # the last tile of a pair takes all that is left of the first run
        core.add(last, ahead, step)
        core.add(taken, first, second)
        core.ge(mask, last, taken)
        core.select(taken, mask, first, end)
        core.sub(taken, taken, begin)
        # of position n of the tile: n + begin in the first run, or n - taken + … in the second
        core.sub(skipped, ahead, begin)
        core.sub(skipped, skipped, taken)
        core.add(skipped, skipped, start)
        core.add(skipped, skipped, runs.length)
        core.add(start, start, begin)
        core.release(begin, end)
        core.iota(here, Range(Index(0), step), axis=0)
        core.add(there, here, skipped)
        core.lt(inside, here, taken)
        core.add(order, here, start)
        core.select(there, inside, order, there)
        core.add(here, here, t * step)
        core.lt(inside, here, runs.cols)
        core.select(there, inside, there, NOWHERE)
        core.load(values, source[0][i, there], pad=worst(source[0].dtype, runs.descending))
        core.load(places, source[1][i, there])
        core.wait(values, places)
        core.merge_order(order, values, axis=0, descending=runs.descending)
        core.acquire(merged, moved)
        core.take(merged, values, order, axis=0)
        core.take(moved, places, order, axis=0)
        core.release(values, places)
        span = Range(t * step, step, 1, t * step, runs.cols)
        core.store(target[0][i, span], merged)
        core.store(target[1][i, span], moved)
