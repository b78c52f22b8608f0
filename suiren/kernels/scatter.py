"""Writing at indices: scatter, scatter_add, index_add, index_put, the gradient of an embedding.

The target is updated in place: give it as the result. Tiles of indices and of what goes there
are loaded, and the copy engine writes rows or single numbers; `add` ones are added in memory,
so that indices may repeat. An index outside of the target writes nothing.
Options of all: `tile` elements a tile, `stages` of loads, and those of a grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suiren.core.kernel import Kernel, kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor
from suiren.kernels.gather import NOWHERE, flat_places, flat_rows
from suiren.kernels.tiling import steps_of


@kernel("g T[K,D]; ids I[K] -> grad T[V,D]", V=100, D=64, K=32, T="f32", I="i64")
def embedding_backward(
    core: Core, g: Tensor, ids: Tensor, grad: Tensor, padding: int = NOWHERE, tile: int = 4096,
    stages: int = 3, **deal: Any,
) -> None:  # fmt: skip
    """The gradient of the table: zero, plus every row of g at its index; not at `padding`."""
    tv, tw = steps_of(grad.shape, tile)
    zero = core.scratchpad((tv, tw), grad.dtype, 2)
    for v, d in core.grid((grad.shape[0], tv), (grad.shape[1], tw), **deal):
        core.acquire(zero)
        core.fill(zero, 0)
        core.store(grad[v, d], zero)
    core.barrier()
    tk, td = steps_of(g.shape, tile)
    chosen = core.scratchpad((tk,), ids.dtype, stages)
    at, masked = core.registers((tk,), "i64"), core.registers((tk,), "i32")
    rows = core.scratchpad((tk, td), g.dtype, stages)
    for k, d in core.grid((g.shape[0], tk), (g.shape[1], td), **deal):
        core.load(chosen, ids[k], pad=NOWHERE)
        core.load(rows, g[k, d])
        core.wait(chosen)
        core.eq(masked, chosen, padding)
        core.select(at, masked, NOWHERE, chosen)
        core.release(chosen)
        core.wait(rows)
        core.store(grad[at, d], rows, add=True)


@kernel("ids I[K]; x T[A,K,B] -> y T[A,V,B]", A=2, V=100, B=8, K=32, T="f32", I="i64")
def index_add(
    core: Core, ids: Tensor, x: Tensor, y: Tensor, alpha: float = 1.0, add: bool = True,
    tile: int = 4096, stages: int = 3, **deal: Any,
) -> None:  # fmt: skip
    """Adds positions of a middle dimension, times alpha, where the indices say; or copies them."""
    steps = steps_of(x.shape, tile)
    chosen = core.scratchpad(steps[1:2], ids.dtype, stages)
    rows = core.scratchpad(steps, x.dtype, stages)
    out = core.scratchpad(steps, y.dtype, 2)
    for a, k, b in core.grid(*zip(x.shape, steps, strict=True), **deal):
        core.load(chosen, ids[k], pad=NOWHERE)
        core.load(rows, x[a, k, b])
        core.wait(chosen, rows)
        if alpha == 1.0:
            core.store(y[a, chosen, b], rows, add=add)
        else:
            core.acquire(out)
            core.mul(out, rows, alpha)
            core.release(rows)
            core.store(y[a, chosen, b], out, add=add)
        core.release(chosen)


def scatter(add: bool = False, value: float | None = None) -> Kernel:
    """Each element its own index along a dimension: `y[a, index[a,k,b], b] = x[a,k,b]`.

    "index I[E]; x T[E] -> y T[P]", flat as `gather` has them, with its options `size`, `count`
    and `inner`. With a `value`, that is written, and there is no x.
    """

    def put(
        core: Core, index: Tensor, *given: Tensor, size: int = 0, count: int = 0, inner: int = 1,
        tile: int = 1024, stages: int = 3, **deal: Any,
    ) -> None:  # fmt: skip
        *sources, y = given
        elements, reach = index.shape[0], size or y.shape[0]
        te = min(tile, elements)
        chosen = core.scratchpad((te,), index.dtype, stages)
        values = core.scratchpad((te,), y.dtype, stages)
        for e in core.grid((elements, te), **deal):
            core.load(chosen, index[e], pad=NOWHERE - reach)
            for source in sources:
                core.load(values, source[e])
            core.wait(chosen)
            at = flat_places(core, chosen, e, reach, count or elements, inner)
            core.release(chosen)
            if sources:
                core.wait(values)
            else:
                core.acquire(values)
                core.fill(values, value or 0.0)
            core.store(y[at], values, add=add)

    put.__name__ = "scatter_add" if add else "scatter"
    source = "" if value is not None else "; x T[E]"
    return Kernel(put, Signature.parse(f"index I[E]{source} -> y T[P]"), {})


def index_put(count: int, add: bool = False) -> Kernel:
    """Assignment at `count` index tensors: "i0 I[K]; i1 I[K]; x T[K,D] -> y T[P,D]".

    The indexed dimensions, whose sizes are the option `dims`, are given as one of P rows;
    `add` accumulates. Other options: `tile` elements a tile, `stages`.
    """
    indices = "; ".join(f"i{n} I[K]" for n in range(count))

    def put(
        core: Core, *given: Tensor, dims: Sequence[int], tile: int = 4096, stages: int = 3,
        **deal: Any,
    ) -> None:  # fmt: skip
        *ids, x, y = given
        tk, td = steps_of(x.shape, tile)
        chosen = [core.scratchpad((tk,), i.dtype, stages) for i in ids]
        rows = core.scratchpad((tk, td), x.dtype, stages)
        for k, d in core.grid((x.shape[0], tk), (x.shape[1], td), **deal):
            core.load(rows, x[k, d])
            for buffer, index in zip(chosen, ids, strict=True):
                core.load(buffer, index[k])
            core.wait(*chosen)
            at = flat_rows(core, chosen, k, dims)
            core.release(*chosen)
            core.wait(rows)
            core.store(y[at, d], rows, add=add)

    put.__name__ = "index_put"
    return Kernel(put, Signature.parse(f"{indices}; x T[K,D] -> y T[P,D]"), {})
