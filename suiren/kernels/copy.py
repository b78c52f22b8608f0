"""Copies: permuted, joined, padded and cut tensors.

Data moves in wide rows on both sides. A permutation that keeps the last dimension only moves
rows; any other one turns tiles in the core, so that loads follow the rows of the input and
stores those of the result. A plain copy, a cast or an expanded copy is the elementwise
operation `copy`; fills and ranges are elementwise too. Reads that wander are in `remap.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod
from typing import Any

from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor
from suiren.kernels.folding import piece_blocks
from suiren.kernels.tiling import steps_of

_LETTERS = "ABCDEFGH"


def permute(*order: int) -> Kernel:
    """`x.permute(order)` made contiguous: "x T[A,B,C] -> y T[A,C,B]" for the order 0, 2, 1.

    Options: `tile` elements a tile, `side` of a tile that is turned, `stages`, and those of a
    grid. See `merged_order` for orders with few dimensions.
    """
    names = _LETTERS[: len(order)]
    signature = f"x T[{','.join(names)}] -> y T[{','.join(names[d] for d in order)}]"

    def turned(
        core: Core, x: Tensor, y: Tensor, tile: int = 4096, side: int = 64, stages: int = 2,
        **deal: Any,
    ) -> None:  # fmt: skip
        if order[-1] == len(order) - 1:
            _move_rows(core, x.permute(*order), y, tile, stages, deal)
        else:
            _turn_tiles(core, x, y, order, (tile, side), stages, deal)

    turned.__name__ = "permute"
    return Kernel(turned, Signature.parse(signature), {})


def _move_rows(
    core: Core, x: Tensor, y: Tensor, tile: int, stages: int, deal: dict[str, Any]
) -> None:
    steps = steps_of(y.shape, tile)
    rows = core.scratchpad(steps, y.dtype, stages)
    for places in core.grid(*zip(y.shape, steps, strict=True), **deal):
        at = places if len(steps) > 1 else (places,)
        core.load(rows, x[at])
        core.wait(rows)
        core.store(y[at], rows)


def _turn_tiles(
    core: Core, x: Tensor, y: Tensor, order: Sequence[int], tile: tuple[int, int], stages: int,
    deal: dict[str, Any],
) -> None:  # fmt: skip
    """The last dimensions of input and result make the rows and columns of tiles."""
    row, col = order[-1], len(order) - 1
    tr = min(x.shape[row], tile[1])
    tc = min(x.shape[col], max(1, tile[0] // tr))
    steps = {row: tr, col: tc}
    block = core.scratchpad((tr, tc), x.dtype, stages)
    out = core.scratchpad((tc, tr), y.dtype, 2)
    # the result's rows are walked first, so that its neighbours are written together
    axes = [(y.shape[n], steps[d]) if d in steps else y.shape[n] for n, d in enumerate(order)]
    for places in core.grid(*axes, **deal):
        at = dict(zip(order, places, strict=True))
        core.load(block, x[tuple(at[d] for d in range(len(order)))])
        core.wait(block)
        core.acquire(out)
        core.transpose(out, block)
        core.release(block)
        core.store(y[places], out)


def merged_order(
    shape: Sequence[int], order: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The same permutation with as few dimensions as possible: its shape and its order.

    Dimensions of one position vanish, and neighbours that stay neighbours are one.
    """
    kept = [d for d in order if shape[d] > 1]
    if not kept:
        return (1,), (0,)
    dense = sorted(kept)
    runs = [[kept[0]]]
    for before, d in pairwise(kept):
        if dense.index(d) == dense.index(before) + 1:
            runs[-1].append(d)
        else:
            runs.append([d])
    places = sorted(runs)
    return (tuple(prod(shape[d] for d in run) for run in places),
            tuple(places.index(run) for run in runs))  # fmt: skip


def cat(count: int) -> Kernel:
    """`count` tensors side by side: "x0 T[M,N0]; x1 T[M,N1] -> y T[M,N]".

    A tile of the grid copies one block of every tensor. Options: `tile` elements a block,
    `stages`, and those of a grid.
    """
    inputs = "; ".join(f"x{n} T[M,N{n}]" for n in range(count))

    def join(core: Core, *given: Tensor, tile: int = 4096, stages: int = 2, **deal: Any) -> None:
        *sources, y = given
        widest = max(x.shape[1] for x in sources)
        tm, tn = steps_of((y.shape[0], widest), tile)
        rows = [core.scratchpad((tm, min(tn, x.shape[1])), y.dtype, stages) for x in sources]
        pieces = -(-widest // tn)
        for i, number in core.grid((y.shape[0], tm), pieces, **deal):
            offset = 0
            for x, block in zip(sources, rows, strict=True):
                size, step = x.shape[1], block.shape[1]
                for j in piece_blocks(core, size, step, pieces, number):
                    core.load(block, x[i, j])
                    core.wait(block)
                    core.store(y[i, j + offset], block)
                offset += size

    join.__name__ = "cat"
    return Kernel(join, Signature.parse(f"{inputs} -> y T[M,N]"), {})


def window(rank: int) -> Kernel:
    """Padding and cutting: `y[i] = x[i·stride − before]`, or `value` outside of x.

    "x T[A,B] -> y T[P,Q]" for rank 2. Options: `before` (positions put before x along each
    dimension, negative to cut), `strides`, `value`, `tile`, `stages`, and those of a grid.
    """
    sides = ",".join(_LETTERS[:rank]), ",".join("PQRSUVWX"[:rank])

    def cut(
        core: Core, x: Tensor, y: Tensor, before: Sequence[int] = (), strides: Sequence[int] = (),
        value: float = 0.0, tile: int = 4096, stages: int = 2, **deal: Any,
    ) -> None:  # fmt: skip
        steps = steps_of(y.shape, tile)
        block = core.scratchpad(steps, y.dtype, stages)
        for places in core.grid(*zip(y.shape, steps, strict=True), **deal):
            at = places if rank > 1 else (places,)
            shifted = tuple(
                place * stride - first
                for place, stride, first in zip(
                    at, strides or [1] * rank, before or [0] * rank, strict=True)
            )  # fmt: skip
            core.load(block, x[shifted], pad=value)
            core.wait(block)
            core.store(y[at], block)

    cut.__name__ = "window"
    return Kernel(cut, Signature.parse(f"x T[{sides[0]}] -> y T[{sides[1]}]"), {})
