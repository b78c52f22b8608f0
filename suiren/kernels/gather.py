"""Reading at indices: embedding, index_select, gather, take, and indexing with index tensors.

A tile of indices is loaded, and the copy engine fetches what they name: whole rows where the
indices choose rows (`embedding`, `index_select`, `index_get`), single numbers where every
element has its own (`gather`, `take`). What was fetched is stored as it is; only index
arithmetic uses the vector engine. An index outside of the tensor reads as zero.

Copies start in order, so a fetch that waits for its indices would keep the next indices
waiting: a core takes `run` tiles in a row and loads the indices of each one tile ahead.
Options of all: `tile` elements a tile, `run`, `stages` of loads, and those of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.tiling import steps_of

#: What stands for "no such place" in a tile of indices.
NOWHERE = -1


@kernel("table T[V,D]; ids I[K] -> y T[K,D]", V=100, D=64, K=32, T="f32", I="i64")
def embedding(
    core: Core, table: Tensor, ids: Tensor, y: Tensor, tile: int = 4096, run: int = 4,
    stages: int = 3, **deal: Any,
) -> None:  # fmt: skip
    """The row of the table that every index names."""
    tk, td = steps_of(y.shape, tile)
    chosen = core.scratchpad((tk,), ids.dtype, max(2, stages))
    rows = core.scratchpad((tk, td), y.dtype, stages)
    for k, d in _ahead(core, [chosen], [ids], run, (y.shape[1], td), deal=deal):
        core.load(rows, table[chosen, d])
        core.wait(rows)
        core.release(chosen)
        core.store(y[k, d], rows)


@kernel("x T[A,V,B]; ids I[K] -> y T[A,K,B]", A=2, V=100, B=8, K=32, T="f32", I="i64")
def index_select(
    core: Core, x: Tensor, ids: Tensor, y: Tensor, tile: int = 4096, run: int = 4,
    stages: int = 3, **deal: Any,
) -> None:  # fmt: skip
    """Positions of a middle dimension, the same for all of the outer and inner ones."""
    steps = steps_of(y.shape, tile)
    chosen = core.scratchpad(steps[1:2], ids.dtype, max(2, stages))
    rows = core.scratchpad(steps, y.dtype, stages)
    outer, _, inner = zip(y.shape, steps, strict=True)
    for k, a, b in _ahead(core, [chosen], [ids], run, outer, inner, deal=deal):
        core.load(rows, x[a, chosen, b])
        core.wait(rows)
        core.release(chosen)
        core.store(y[a, k, b], rows)


@kernel("x T[P]; index I[E] -> y T[E]", P=100, E=32, T="f32", I="i64")
def gather(
    core: Core, x: Tensor, index: Tensor, y: Tensor, size: int = 0, count: int = 0,
    inner: int = 1, tile: int = 1024, run: int = 4, stages: int = 3, **deal: Any,
) -> None:  # fmt: skip
    """Each element its own index along a dimension: `y[a,k,b] = x[a, index[a,k,b], b]`.

    Tensors are given flat: the dimension has `size` positions in x and `count` in the index,
    and `inner` elements follow it. Without sizes this is `take`. Indices may be negative.
    """
    te = min(tile, y.shape[0])
    chosen = core.scratchpad((te,), index.dtype, max(2, stages))
    found = core.scratchpad((te,), y.dtype, stages)
    pad = NOWHERE - (size or x.shape[0])
    for (e,) in _ahead(core, [chosen], [index], run, deal=deal, pad=pad):
        at = flat_places(core, chosen, e, size or x.shape[0], count or y.shape[0], inner)
        core.release(chosen)
        core.load(found, x[at])
        core.wait(found)
        core.store(y[e], found)


def flat_places(
    core: Core, index: Tile, elements: Range, size: int, count: int, inner: int
) -> Tile:
    """Where the elements of a flat tensor find theirs: `(a · size + index) · inner + b`."""
    at, wrapped, part = (core.registers(index.shape, "i64") for _ in range(3))
    negative = core.registers(index.shape, "i32")
    core.lt(negative, index, 0)
    core.add(wrapped, index, size)
    core.select(at, negative, wrapped, index)
    # an index that stays out of reach must not come to mean a place in the row before
    core.lt(negative, at, 0)
    core.iota(part, elements, axis=0)
    core.floor_divide(wrapped, part, count * inner)
    core.fma(at, wrapped, size, at)
    if inner > 1:
        core.remainder(part, part, inner)
        core.fma(at, at, inner, part)
    core.select(at, negative, NOWHERE, at)
    return at


def index_get(count: int) -> Kernel:
    """Indexing with `count` tensors, `x[i0, i1]`: "x T[P,D]; i0 I[K]; i1 I[K] -> y T[K,D]".

    The indexed dimensions, whose sizes are the option `dims`, are given as one of P rows.
    Other options: `tile` elements a tile, `run`, `stages`.
    """
    indices = "; ".join(f"i{n} I[K]" for n in range(count))

    def get(
        core: Core, x: Tensor, *given: Tensor, dims: Sequence[int], tile: int = 4096,
        run: int = 4, stages: int = 3, **deal: Any,
    ) -> None:  # fmt: skip
        *ids, y = given
        tk, td = steps_of(y.shape, tile)
        chosen = [core.scratchpad((tk,), i.dtype, max(2, stages)) for i in ids]
        rows = core.scratchpad((tk, td), y.dtype, stages)
        for k, d in _ahead(core, chosen, ids, run, (y.shape[1], td), deal=deal):
            at = flat_rows(core, chosen, k, dims)
            core.release(*chosen)
            core.load(rows, x[at, d])
            core.wait(rows)
            core.store(y[k, d], rows)

    get.__name__ = "index_get"
    return Kernel(get, Signature.parse(f"x T[P,D]; {indices} -> y T[K,D]"), {})


def flat_rows(core: Core, chosen: Sequence[Tile], k: Range, dims: Sequence[int]) -> Tile:
    """Row numbers from one index for each dimension; negative ones count from the end."""
    at, wrapped, negative = (core.registers(chosen[0].shape, "i64") for _ in range(3))
    core.fill(at, 0)
    for index, size in zip(chosen, dims, strict=True):
        core.lt(negative, index, 0)
        core.add(wrapped, index, size)
        core.select(wrapped, negative, wrapped, index)
        core.fma(at, at, size, wrapped)
    core.edge(at, k, NOWHERE, axis=0)
    return at


def _ahead(
    core: Core, chosen: Sequence[Tile], ids: Sequence[Tensor], run: int, *others: tuple[int, int],
    deal: dict[str, Any], pad: float = NOWHERE,
) -> Iterator[tuple[Any, ...]]:  # fmt: skip
    """Deals out runs of tiles of indices, every tile loaded before the one ahead of it is used.

    Yields the positions of the tile, which `chosen` holds, and those of the other axes.
    """
    size, step = ids[0].shape[0], chosen[0].shape[0]

    def load(start: Index) -> Range:
        block = Range(start, step, 1, start, size)
        for buffer, tensor in zip(chosen, ids, strict=True):
            core.load(buffer, tensor[block], pad=pad)
        return block

    run = max(1, min(run, -(-size // step)))
    for places in core.grid((size, step * run), *others, **deal):
        group, *rest = places if others else (places,)
        load(group.start)
        for block in core.blocks(step * run, step, stop=-group.start + size):
            start = group.start + block.start
            load(start + step)
            core.wait(*chosen)
            yield Range(start, step, 1, start, size), *rest
        core.wait(*chosen)
        core.release(*chosen)
