"""A mixture of experts whose counts only the chip knows: blocks of rows, by tables.

`align_blocks` cuts every expert's rows into blocks of TM, the last one filled up, and writes
which expert each of B blocks belongs to and which rows it holds: `order[p]` for the p-th row
sorted by expert, -1 where there is none. `most_blocks` bounds B. `experts_blocks` then makes
one block of the result a tile, its weight found by the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from suiren.core.index import whole
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile, View
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.experts import LAYOUTS, in_layout
from suiren.kernels.matmul import accumulate, operands


def most_blocks(rows: int, experts: int, tm: int) -> int:
    """Blocks that suffice however the rows are shared out."""
    return rows // tm + min(rows, experts)


@kernel("ends i32[E]; order i32[M] -> expert i32[B]; rows i32[B,TM]", E=8, M=8192, B=72, TM=128)
def align_blocks(core: Core, ends: Tensor, order: Tensor, expert: Tensor, rows: Tensor) -> None:
    """The tables of `experts_blocks`; `ends[e]` is the row after expert e's last one."""
    (experts,), (_, tm) = ends.shape, rows.shape
    last, before = (core.scratchpad((1, experts), "i32") for _ in range(2))
    mine, found = core.scratchpad((1, 1), "i32"), core.scratchpad((1, tm), "i32")
    blocks, first, number, hot = (core.registers((1, experts), "i32") for _ in range(4))
    places, inside = (core.registers((1, tm), "i32") for _ in range(2))
    edge = core.registers((1, 1), "i32")

    def pick(out: Tile, values: Tile) -> None:
        """The value of the block's own expert; 0 for a block too many."""
        core.mul(number, values, hot)
        core.row_sum(out, number, axis=1)

    for b in core.grid(expert.shape[0]):
        core.load(last, ends[:].matrix((), (0,)))
        # an expert's rows begin where those of the one before it end
        core.load(before, ends[whole(experts) - 1].matrix((), (0,)))
        core.wait(last, before)
        _count_blocks(core, last, before, blocks, first, tm)
        core.le(number, first, b)
        core.gt(hot, blocks, b)
        core.both(hot, hot, number)
        core.iota(blocks, whole(experts) + 1, axis=1)
        core.acquire(mine)
        pick(mine, blocks)
        core.sub(mine, mine, 1)
        core.store(expert[b].matrix((), ()), mine)
        core.mul(first, first, tm)
        core.sub(first, before, first)
        pick(edge, first)
        core.iota(places, whole(tm), axis=1)
        core.add(places, places, edge)
        core.add(places, places, b * tm)
        pick(edge, last)
        core.release(last, before)
        core.lt(inside, places, edge)
        core.select(places, inside, places, -1)
        core.load(found, order[places].matrix((), (0,)), pad=-1)
        core.wait(found)
        core.store(rows[b, :].matrix((), (0,)), found)


def _count_blocks(core: Core, last: Tile, before: Tile, blocks: Tile, first: Tile, tm: int) -> None:
    """Numbers of every expert's first block and, in `blocks`, of the block after its last."""
    core.sub(first, last, before)
    core.add(first, first, tm - 1)
    core.floor_divide(first, first, tm)
    core.scan_sum(blocks, first, axis=1)
    core.sub(first, blocks, first)


def multiply_blocks(
    core: Core, x: Tensor, w: Tensor, expert: Tensor, rows: Tensor, y: Tensor,
    gates: Tensor | None = None, *, layout: str = "nn", slots: int = 1, tn: int = 128,
    tk: int = 32, stages: int = 3, sums: int = 1, resident: int = 1, fresh: bool = False,
    **ending: Any,
) -> None:  # fmt: skip
    """`y[r] = gates[r] · x[r // slots] · w` for the rows r of every block."""
    tm = rows.shape[1]
    data, weights, acc = operands(core, x, w, layout, (tm, tn, tk), stages, sums)
    end = Epilogue(core, acc, y, **ending)
    mine, held = core.scratchpad((1, 1), "i32", 2), core.scratchpad((tm,), "i32", 2)
    source = held if slots == 1 else core.registers((tm,), "i32", 2)
    gate = core.scratchpad((tm, 1), "f32", 2)
    sizes = rows.shape[0], (y.shape[1], tn)
    for b, j in core.grid(*sizes, square=True, resident=resident, fresh=fresh):
        core.load(mine, expert[b].matrix((), ()))
        core.load(held, rows[b, :])
        core.wait(mine, held)
        if slots > 1:
            core.acquire(source)
            core.floor_divide(source, held, slots)
        weight = _weight(w, layout, mine)
        steps = core.blocks(x.shape[1], tk)
        accumulate(core, acc, data, weights, ((x[source, k], weight(k, j)) for k in steps), layout)
        core.release(mine)
        if slots > 1:
            core.release(source)
        if gates is not None:
            core.load(gate, gates[held].matrix((0,), ()))
            core.wait(gate)
            core.mul(acc, acc, gate)
            core.release(gate)
        end.store(held, j)
        core.release(held)


def _weight(w: Tensor, layout: str, expert: Tile) -> Callable[[Any, Any], View]:
    """Pieces (k, j) of the weight that a tile names."""
    if layout[1] == "t":
        return lambda k, j: w[expert, j, k].matrix((0, 1), (2,))
    return lambda k, j: w[expert, k, j].matrix((0, 1), (2,))


_BLOCKS = "x A[S,K]; w D[W]; expert i32[B]; rows i32[B,TM]"

experts_blocks_nn, experts_blocks_nt = (
    in_layout(multiply_blocks, "experts_blocks", w, f"{_BLOCKS} -> y C[M,N]") for w in LAYOUTS
)
experts_blocks_gated_nn, experts_blocks_gated_nt = (
    in_layout(multiply_blocks, "experts_blocks_gated", w, f"{_BLOCKS}; gates f32[M] -> y C[M,N]")
    for w in LAYOUTS
)
