"""Mean and variance along a dimension, in one pass, by merging the moments of tiles.

`variance("x T[M,N] -> y T[M]; mean T[M]")` computes both; the dimension that the results lack
is folded. Means and squared deviations of tiles are merged as Chan, Golub and LeVeque (1979)
do, so that nothing cancels. With `parts f32[S,M]; squares f32[S,M]` after the results, S pieces
of the dimension are folded by different cores first, and merged behind a barrier.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.folding import Rows, piece_blocks, piece_length
from suiren.kernels.tiling import compute_format, piece

Named = tuple[Tensor, tuple[str, ...]]


def variance(signature: str) -> Kernel:
    """A kernel for variance and mean along the one dimension that its results lack.

    Options: `correction` taken from the count, `root` for the standard deviation, `tile`
    elements a tile, `widest` last dimension of a tile if it is kept, `stages`, and those
    of a grid.
    """
    parsed = Signature.parse(signature)
    names = [p.sizes for p in parsed.parameters]
    (along,) = (d for d in names[0] if d not in names[1])

    def moments(
        core: Core, *given: Tensor, correction: int = 1, root: bool = False, tile: int = 4096,
        widest: int = 256, stages: int = 2, **deal: Any,
    ) -> None:  # fmt: skip
        x, *results = zip(given, names, strict=True)
        rows = Rows.of(names[0], given[0], along, tile, widest, deal)
        divisor = float(max(0, rows.size - correction))
        if len(results) == 2:
            _measure(core, rows, x, results, 0, (divisor, root), stages)
            return
        squares, mean = results[3], results[2]
        _measure(core, rows, x, [squares, mean], given[3].shape[0], (1.0, False), stages)
        core.barrier()
        _merge(core, rows, results, (divisor, root), (tile, widest))

    moments.__name__ = "variance"
    return Kernel(moments, parsed, {})


def _measure(
    core: Core, rows: Rows, x: Named, results: list[Named], pieces: int,
    end: tuple[float, bool], stages: int,
) -> None:  # fmt: skip
    """Moments of every row, or of every piece of a row."""
    buffer = core.scratchpad(rows.shape, x[0].dtype, stages)
    small, dtype = rows.edge_shape, compute_format(x[0].dtype)
    wide = core.registers(rows.shape, dtype)
    mean, squares, here, delta, more = (core.registers(small, dtype) for _ in range(5))
    count, before, share = (core.registers(tuple(1 for _ in small), dtype) for _ in range(3))
    out = [core.scratchpad(small, t.dtype, 2) for t, _ in results]
    length = piece_length(rows.size, rows.step, pieces) if pieces else 0
    for ranges, number in rows.grid(core, pieces):
        core.fill(mean, 0)
        core.fill(squares, 0)
        blocks = (piece_blocks(core, rows.size, rows.step, pieces, number) if pieces
                  else core.blocks(rows.size, rows.step))  # fmt: skip
        for block in blocks:
            core.load(buffer, piece(*x, rows.at(ranges, block)))
            core.wait(buffer)
            # positions before this tile, in it, and its share of those up to its end
            core.fill(before, block.start - number * length)
            core.fill(count, -block.start + rows.size)
            core.minimum(count, count, rows.step)
            core.add(share, before, count)
            core.div(share, count, share)
            core.row_sum(here, buffer, axis=rows.axis)
            core.div(here, here, count)
            core.sub(wide, buffer, here)
            core.release(buffer)
            core.mul(wide, wide, wide)
            core.edge(wide, block, 0, axis=rows.axis)
            core.row_sum(more, wide, axis=rows.axis)
            core.sub(delta, here, mean)
            core.fma(mean, delta, share, mean)
            core.add(squares, squares, more)
            core.mul(delta, delta, delta)
            core.mul(before, before, share)
            core.fma(squares, delta, before, squares)
        _put(core, out, (squares, mean), results, rows.at(ranges), number, end)


def _merge(
    core: Core, rows: Rows, results: list[Named], end: tuple[float, bool], tiles: tuple[int, int]
) -> None:
    """Moments of whole rows from those of their pieces."""
    means, deviations = results[2:]
    pieces = means[0].shape[0]
    whole = Rows.of(means[1], means[0], means[1][0], *tiles, rows.deal)
    shape = (pieces, *whole.shape[1:])
    dtype = means[0].dtype
    own, spread = (core.scratchpad(shape, dtype, 2) for _ in range(2))
    count = core.registers((pieces, *(1 for _ in shape[1:])), dtype)
    work = core.registers(shape, dtype)
    mean, squares, more = (core.registers(whole.edge_shape, dtype) for _ in range(3))
    out = [core.scratchpad(whole.edge_shape, t.dtype, 2) for t, _ in results[:2]]
    length = piece_length(rows.size, rows.step, pieces)
    for ranges, _ in whole.grid(core):
        everywhere = Range(Index(0), pieces)
        core.load(own, piece(*means, whole.at(ranges, everywhere)))
        core.load(spread, piece(*deviations, whole.at(ranges, everywhere)))
        core.wait(own, spread)
        core.iota(count, everywhere * length, axis=0)
        core.sub(count, rows.size, count)
        core.minimum(count, count, length)
        core.maximum(count, count, 0)
        core.mul(work, own, count)
        core.row_sum(mean, work, axis=0)
        core.mul(mean, mean, 1 / rows.size)
        core.sub(work, own, mean)
        core.mul(work, work, work)
        core.mul(work, work, count)
        core.row_sum(squares, work, axis=0)
        core.row_sum(more, spread, axis=0)
        core.add(squares, squares, more)
        core.release(own, spread)
        _put(core, out, (squares, mean), results[:2], whole.at(ranges), Index(0), end)


def _put(
    core: Core, out: list[Tile], values: tuple[Tile, Tile], results: list[Named],
    ranges: dict[str, Range], number: Index, end: tuple[float, bool],
) -> None:  # fmt: skip
    divisor, root = end
    core.acquire(*out)
    core.div(values[0], values[0], divisor)
    if root:
        core.sqrt(values[0], values[0])
    for tile, value, (tensor, names) in zip(out, values, results, strict=True):
        core.cast(tile, value)
        core.store(piece(tensor, names, ranges, {names[0]: number}), tile)
