"""Cumulative sums, products and maxima along a dimension of any length.

`scan("x T[M,N] -> y T[M,N]", "sum", along="N")` walks along the dimension tile by tile and
carries the fold of what came before. Few long rows keep few cores busy: with `part f32[S,M]`
after the result, S pieces are folded first, and behind a barrier every piece starts from the
fold of those before it; the input is read twice then.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.folding import Rows, combine, fold_axis, neutral, piece_blocks
from suiren.kernels.tiling import compute_format, piece

Named = tuple[Tensor, tuple[str, ...]]


def scan(signature: str, kind: str, along: str) -> Kernel:
    """A kernel for the running sum, prod or max of its input.

    Options: `tile` elements a tile, `widest` last dimension of a tile not walked along,
    `stages`, and those of a grid.
    """
    parsed = Signature.parse(signature)
    names = [p.sizes for p in parsed.parameters]

    def walk(
        core: Core, *given: Tensor, tile: int = 2048, widest: int = 256, stages: int = 2,
        **deal: Any,
    ) -> None:  # fmt: skip
        x, y, *parts = zip(given, names, strict=True)
        rows = Rows.of(names[0], given[0], along, tile, widest, deal)
        dtype = compute_format(given[0].dtype, given[1].dtype)
        if parts:
            _fold_pieces(core, rows, kind, x, parts[0], dtype, stages)
            core.barrier()
        _walk(core, rows, kind, x, y, parts[0] if parts else None, dtype, stages)

    walk.__name__ = f"cum{kind}"
    return Kernel(walk, parsed, {})


def _fold_pieces(
    core: Core, rows: Rows, kind: str, x: Named, part: Named, dtype: str, stages: int
) -> None:
    """The fold of every piece of every row."""
    buffer = core.scratchpad(rows.shape, x[0].dtype, stages)
    acc = core.registers(rows.shape, dtype)
    out = core.scratchpad(rows.edge_shape, part[0].dtype, 2)
    pieces = part[0].shape[0]
    for ranges, number in rows.grid(core, pieces):
        core.fill(acc, neutral(kind, dtype))
        for block in piece_blocks(core, rows.size, rows.step, pieces, number):
            core.load(buffer, piece(*x, rows.at(ranges, block)), pad=neutral(kind, x[0].dtype))
            core.wait(buffer)
            combine(core, kind, acc, buffer)
            core.release(buffer)
        core.acquire(out)
        core.cast(out, fold_axis(core, kind, acc, rows.axis, dtype))
        core.store(piece(*part, rows.at(ranges), {part[1][0]: number}), out)


def _walk(
    core: Core, rows: Rows, kind: str, x: Named, y: Named, part: Named | None, dtype: str,
    stages: int,
) -> None:  # fmt: skip
    """The running fold of every row, or of every piece of a row."""
    buffer = core.scratchpad(rows.shape, x[0].dtype, stages)
    out = core.scratchpad(rows.shape, y[0].dtype, 2)
    running, carry = core.registers(rows.shape, dtype), core.registers(rows.edge_shape, dtype)
    pieces = part[0].shape[0] if part else 0
    for ranges, number in rows.grid(core, pieces):
        if part is None:
            core.fill(carry, neutral(kind, dtype))
            blocks = core.blocks(rows.size, rows.step)
        else:
            _carry_in(core, rows, kind, part, carry, rows.at(ranges), number, dtype)
            blocks = piece_blocks(core, rows.size, rows.step, pieces, number)
        for block in blocks:
            core.load(buffer, piece(*x, rows.at(ranges, block)), pad=neutral(kind, x[0].dtype))
            core.wait(buffer)
            getattr(core, f"scan_{kind}")(running, buffer, axis=rows.axis)
            combine(core, kind, running, carry)
            combine(core, kind, carry, fold_axis(core, kind, buffer, rows.axis, dtype))
            core.release(buffer)
            core.acquire(out)
            core.cast(out, running)
            core.store(piece(*y, rows.at(ranges, block)), out)


def _carry_in(
    core: Core, rows: Rows, kind: str, part: Named, carry: Tile, ranges: dict[str, Range],
    number: Index, dtype: str,
) -> None:  # fmt: skip
    """The fold of all pieces before piece `number`."""
    pieces, name = part[0].shape[0], part[1][0]
    everywhere = Range(Index(0), pieces)
    places = {name if d == rows.along else d: everywhere if d == rows.along else r
              for d, r in ranges.items()}  # fmt: skip
    shape, along = ([pieces if a == rows.axis else s for a, s in enumerate(sizes)]
                    for sizes in (rows.edge_shape, [1] * len(rows.shape)))  # fmt: skip
    folds = core.scratchpad(tuple(shape), part[0].dtype, 2)
    kept = core.registers(tuple(shape), dtype)
    order, before = core.registers(tuple(along), "i64"), core.registers(tuple(along), "i32")
    core.load(folds, piece(*part, places))
    core.wait(folds)
    core.iota(order, everywhere, axis=rows.axis)
    core.lt(before, order, number)
    core.select(kept, before, folds, neutral(kind, dtype))
    core.release(folds)
    core.cast(carry, fold_axis(core, kind, kept, rows.axis, dtype))
