"""The largest or smallest number along a dimension, and where it stands.

`arg_reduction("x T[M,N] -> y T[M]; index i64[M]", "max")` is `max(dim)`, `argmax` and, with
"min", their counterparts. A tile is folded at once and compared with the best so far; of equal
numbers the first one counts. With `part f32[S,M]; place i64[S,M]` after the results, S pieces
of the dimension are folded by different cores first.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.folding import Rows, neutral, piece_blocks
from suiren.kernels.tiling import compute_format, piece

_BETTER = {"max": ("gt", "row_max", "row_argmax"), "min": ("lt", "row_min", "row_argmin")}
Named = tuple[Tensor, tuple[str, ...]]


def arg_reduction(signature: str, kind: str) -> Kernel:
    """A kernel that folds the one dimension that its results lack.

    Options: `tile` elements a tile, `widest` last dimension of a tile if it is kept, `stages`,
    and those of a grid.
    """
    parsed = Signature.parse(signature)
    names = [p.sizes for p in parsed.parameters]
    (along,) = (d for d in names[0] if d not in names[1])

    def reduce(
        core: Core, *given: Tensor, tile: int = 4096, widest: int = 256, stages: int = 2,
        **deal: Any,
    ) -> None:  # fmt: skip
        x, *results = zip(given, names, strict=True)
        rows = Rows.of(names[0], given[0], along, tile, widest, deal)
        if len(results) == 2:
            _search(core, rows, kind, x, results, 0, stages)
            return
        pieces = given[3].shape[0]
        _search(core, rows, kind, x, results[2:], pieces, stages)
        core.barrier()
        _choose(core, kind, results, (tile, widest), deal)

    reduce.__name__ = f"arg{kind}"
    return Kernel(reduce, parsed, {})


def _search(
    core: Core, rows: Rows, kind: str, x: Named, results: list[Named], pieces: int, stages: int
) -> None:
    """The best of every row, or of every piece of a row."""
    better, fold, where = _BETTER[kind]
    buffer = core.scratchpad(rows.shape, x[0].dtype, stages)
    dtype = compute_format(x[0].dtype)
    best, at, here, place, mask = (core.registers(rows.edge_shape, form)
                                   for form in (dtype, "i64", dtype, "i64", "i32"))  # fmt: skip
    out = [core.scratchpad(rows.edge_shape, t.dtype, 2) for t, _ in results]
    for ranges, number in rows.grid(core, pieces):
        core.fill(best, neutral(kind, dtype))
        core.fill(at, 0)
        blocks = (piece_blocks(core, rows.size, rows.step, pieces, number) if pieces
                  else core.blocks(rows.size, rows.step))  # fmt: skip
        for block in blocks:
            core.load(buffer, piece(*x, rows.at(ranges, block)), pad=neutral(kind, x[0].dtype))
            core.wait(buffer)
            getattr(core, fold)(here, buffer, axis=rows.axis)
            getattr(core, where)(place, buffer, axis=rows.axis)
            core.release(buffer)
            core.add(place, place, block.start)
            getattr(core, better)(mask, here, best)
            core.select(best, mask, here, best)
            core.select(at, mask, place, at)
        _put(core, out, (best, at), results, rows.at(ranges), number)


def _choose(
    core: Core, kind: str, results: list[Named], tile: tuple[int, int], deal: dict[str, Any]
) -> None:
    """The best of the pieces of every row."""
    part, place = results[2:]
    rows = Rows.of(part[1], part[0], part[1][0], *tile, deal)
    whole = (rows.size, *rows.shape[1:])
    values, places = (core.scratchpad(whole, t.dtype, 2) for t, _ in (part, place))
    best = core.registers(rows.edge_shape, part[0].dtype)
    which, at = (core.registers(rows.edge_shape, "i64") for _ in range(2))
    out = [core.scratchpad(rows.edge_shape, t.dtype, 2) for t, _ in results[:2]]
    for ranges, _ in rows.grid(core):
        everywhere = rows.at(ranges, Range(Index(0), rows.size))
        core.load(values, piece(*part, everywhere))
        core.load(places, piece(*place, everywhere))
        core.wait(values, places)
        getattr(core, _BETTER[kind][2])(which, values, axis=0)
        core.take(best, values, which, axis=0)
        core.take(at, places, which, axis=0)
        core.release(values, places)
        _put(core, out, (best, at), results[:2], rows.at(ranges), Index(0))


def _put(
    core: Core, out: list[Tile], values: tuple[Tile, Tile], results: list[Named],
    ranges: dict[str, Range], number: Index,
) -> None:  # fmt: skip
    for tile, value, (tensor, names) in zip(out, values, results, strict=True):
        core.acquire(tile)
        core.cast(tile, value)
        core.store(piece(tensor, names, ranges, {names[0]: number}), tile)
