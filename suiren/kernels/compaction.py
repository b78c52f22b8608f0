"""Keeping what a mask names: `masked_select` and `nonzero`, in order.

The marked elements of each of S pieces are counted; behind a barrier every piece knows how
many come before it, numbers its own by a running sum, and stores each at its number. The
result has room for all elements; `count` says how many there are.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.kernels.folding import piece_blocks


@kernel("x T[N]; mask b8[N] -> y T[N]; count i64[1]; part i64[S]", N=1000, S=4, T="f32")
def masked_select(
    core: Core, x: Tensor, mask: Tensor, y: Tensor, count: Tensor, part: Tensor,
    tile: int = 2048, stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The elements of x that the mask marks. Options of a grid may follow."""
    _compact(core, mask, x, y, count, part, tile, stages, deal)


@kernel("mask b8[N] -> y i64[N]; count i64[1]; part i64[S]", N=1000, S=4)
def nonzero(
    core: Core, mask: Tensor, y: Tensor, count: Tensor, part: Tensor, tile: int = 2048,
    stages: int = 2, **deal: Any,
) -> None:  # fmt: skip
    """The flat positions that the mask marks. Options of a grid may follow."""
    _compact(core, mask, None, y, count, part, tile, stages, deal)


def _compact(
    core: Core, mask: Tensor, x: Tensor | None, y: Tensor, count: Tensor, part: Tensor, tile: int,
    stages: int, deal: dict[str, Any],
) -> None:  # fmt: skip
    size, pieces = mask.shape[0], part.shape[0]
    step = min(tile, size)
    marks = core.scratchpad((step,), mask.dtype, stages)
    total, sums = core.registers((1,), "i64"), core.registers((1,), "i64")
    out = core.scratchpad((1,), "i64", 2)
    for number in core.grid(pieces, **deal):
        core.fill(total, 0)
        for block in piece_blocks(core, size, step, pieces, number):
            core.load(marks, mask[block])
            core.wait(marks)
            core.row_sum(sums, marks, axis=0)
            core.release(marks)
            core.add(total, total, sums)
        core.acquire(out)
        core.cast(out, total)
        core.store(part[Range(number, 1)], out)
    core.barrier()
    values = core.scratchpad((step,), y.dtype, stages)
    running, place = core.registers((step,), "i64"), core.registers((step,), "i64")
    for number in core.grid(pieces, **deal):
        _before(core, part, total, count, out, number)
        for block in piece_blocks(core, size, step, pieces, number):
            core.load(marks, mask[block])
            if x is not None:
                core.load(values, x[block])
            core.wait(marks)
            core.scan_sum(running, marks, axis=0)
            core.add(running, running, total)
            core.select(place, marks, running, 0)
            core.sub(place, place, 1)
            core.row_sum(sums, marks, axis=0)
            core.add(total, total, sums)
            core.release(marks)
            if x is not None:
                core.wait(values)
            else:
                core.acquire(values)
                core.iota(values, block, axis=0)
            core.store(y[place], values)


def _before(core: Core, part: Tensor, total: Tile, count: Tensor, out: Tile, number: Index) -> None:
    """Leaves in `total` what the pieces before `number` count; the first piece tells the sum."""
    pieces = part.shape[0]
    everywhere = Range(Index(0), pieces)
    counts = core.scratchpad((pieces,), part.dtype, 2)
    order, kept = core.registers((pieces,), "i64"), core.registers((pieces,), "i64")
    core.load(counts, part[everywhere])
    core.wait(counts)
    core.iota(order, everywhere, axis=0)
    core.lt(order, order, number)
    core.select(kept, order, counts, 0)
    core.acquire(out)
    core.row_sum(out, counts, axis=0)
    core.row_sum(total, kept, axis=0)
    core.release(counts)
    # every piece knows the sum; only the first one's place exists
    core.store(count[Range(number, 1)], out)
