"""Matrix products whose depth is split, for results of fewer tiles than the chip has cores.

`split_k`: every tile of the result is made by S cores, each over its own run of k. They
store partial sums in f32; after a barrier a second phase adds them and runs the epilogue.
`split_k_atomic`: the same, but every core adds its part to the result in device memory.
`stream_k`: full waves of whole tiles first; the tiles of the last, partly filled wave are
split along k, so that all cores work to the end.
"""

from __future__ import annotations

from math import gcd
from typing import Any

from suiren.core.index import Index, Range, index
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.kernels.epilogue import Epilogue
from suiren.kernels.matmul import LAYOUTS, accumulate, hand_over, in_layout, operands, piece


def run_of(depth: int, tk: int, splits: int) -> int:
    """Positions of k that one of `splits` parts covers: whole blocks, so that edges stay last."""
    blocks = -(-depth // tk)
    return -(-blocks // splits) * tk


class Product:
    """A product of which one accumulator at a time holds a run of k for a tile of the result."""

    def __init__(
        self, core: Core, a: Tensor, b: Tensor, layout: str, tm: int, tn: int, tk: int,
        stages: int, sums: int, multiply: str,
    ) -> None:  # fmt: skip
        self.core, self.a, self.b, self.layout, self.tk = core, a, b, layout, tk
        self.depth = a.shape[0] if layout[0] == "t" else a.shape[1]
        tile = tm, tn, tk
        self.x, self.y, self.acc = operands(core, a, b, layout, tile, stages, sums, multiply)

    def sum(self, i: Range, j: Range, part: Index, run: int) -> Tile:
        """The accumulator, holding positions `part · run` to `(part + 1) · run` of k."""
        start, order = part * run, self.layout
        steps = self.core.blocks(run, self.tk, stop=index(self.depth) - start)
        pieces = (
            (piece(self.a, order[0], i, k + start), piece(self.b, order[1], k + start, j))
            for k in steps
        )
        accumulate(self.core, self.acc, self.x, self.y, pieces, order)
        return self.acc


def _split_k(
    core: Core, a: Tensor, b: Tensor, part: Tensor, c: Tensor, bias: Tensor | None = None,
    residual: Tensor | None = None, *, layout: str = "nn", tm: int = 128, tn: int = 128,
    tk: int = 32, stages: int = 3, sums: int = 1, slab: int = 16, multiply: str = "",
    resident: int = 1, fresh: bool = False, **ending: Any,
) -> None:  # fmt: skip
    """Partial sums `part[S,M,N]`, then their sum in slabs of `slab` rows."""
    splits, rows, cols = part.shape
    product = Product(core, a, b, layout, tm, tn, tk, stages, sums, multiply)
    run = run_of(product.depth, tk, splits)
    out = core.scratchpad((tm, tn), part.dtype)
    for h, i, j in core.grid(splits, (rows, tm), (cols, tn), square=True, resident=resident,
                             fresh=fresh):  # fmt: skip
        acc = product.sum(i, j, h, run)
        hand_over(core, acc, out, part[h, i, j])
    core.barrier()
    # the parts of a slab are under way together: their latency counts once
    more = core.scratchpad((slab, tn), part.dtype, min(splits, 16))
    total = core.registers((slab, tn), part.dtype)
    end = Epilogue(core, total, c, bias, residual, **ending)
    for i, j in core.grid((rows, slab), (cols, tn)):
        core.acquire(total)
        core.fill(total, 0)
        for h in core.loop(splits):
            core.load(more, part[h, i, j])
            core.wait(more)
            core.add(total, total, more)
            core.release(more)
        end.store(i, j, along=j)


def _split_k_atomic(
    core: Core, a: Tensor, b: Tensor, c: Tensor, *, layout: str = "nn", splits: int = 4,
    tm: int = 128, tn: int = 128, tk: int = 32, stages: int = 3, sums: int = 1,
    multiply: str = "", add_to: bool = False, resident: int = 1, fresh: bool = False,
) -> None:  # fmt: skip
    """Partial sums added in memory to `c`, which is zeroed first, or kept if `add_to`."""
    rows, cols = c.shape
    product = Product(core, a, b, layout, tm, tn, tk, stages, sums, multiply)
    run = run_of(product.depth, tk, splits)
    out = core.scratchpad((tm, tn), c.dtype)
    if not add_to:
        for i, j in core.grid((rows, tm), (cols, tn)):
            core.acquire(out)
            core.fill(out, 0)
            core.store(c[i, j], out)
        core.barrier()
    for h, i, j in core.grid(splits, (rows, tm), (cols, tn), square=True, resident=resident,
                             fresh=fresh):  # fmt: skip
        acc = product.sum(i, j, h, run)
        hand_over(core, acc, out, c[i, j], add=True)


def stream_k_sizes(
    m: int, n: int, tm: int, tn: int, cores: int, most: int = 16, extra: float = 1 / 32
) -> dict[str, int]:
    """Sizes of `part[R,S,TM,TN]`: the R tiles of the last wave in S ≤ `most` runs of k each.

    A run takes 1/S of a tile's time and `extra` of it to start and to store its part.
    """
    tiles = -(-m // tm) * -(-n // tn)
    left = (tiles - 1) % cores + 1
    splits = min(range(1, most + 1), key=lambda s: -(-left * s // cores) * (1 / s + extra))
    return {"R": left, "S": splits, "TM": tm, "TN": tn}


def _stream_k(
    core: Core, a: Tensor, b: Tensor, part: Tensor, c: Tensor, bias: Tensor | None = None,
    residual: Tensor | None = None, *, layout: str = "nn", tk: int = 32, stages: int = 3,
    sums: int = 1, multiply: str = "", **ending: Any,
) -> None:  # fmt: skip
    """Tiles are those of `part`, whose sizes `stream_k_sizes` gives for a number of cores."""
    left, splits, tm, tn = part.shape
    rows, cols = c.shape
    down, across = -(-rows // tm), -(-cols // tn)
    whole = down * across - left
    product = Product(core, a, b, layout, tm, tn, tk, stages, sums, multiply)
    end = Epilogue(core, product.acc, c, bias, residual, **ending)
    for i, j in core.grid((rows, tm), (cols, tn), count=whole, square=True):
        product.sum(i, j, Index(), product.depth)
        end.store(i, j, along=j)
    out = core.scratchpad((tm, tn), part.dtype)
    run = run_of(product.depth, tk, splits)
    for i, j, h in core.grid((rows, tm), (cols, tn), splits, first=whole * splits):
        acc = product.sum(i, j, h, run)
        hand_over(core, acc, out, part[_number(i, j, across) - whole, h, :, :])
    core.barrier()
    _add_up(core, part, c, bias, residual, ending)


def _number(i: Range, j: Range, across: int) -> Index:
    """The number of tile (i, j) of a grid with `across` tiles in a row."""
    return _trip(i) * across + _trip(j)


def _trip(place: Range) -> Index:
    ((loop, _),) = place.start.terms
    return Index(0, ((loop, 1),))


def _add_up(
    core: Core, part: Tensor, c: Tensor, bias: Tensor | None, residual: Tensor | None,
    ending: dict[str, Any],
) -> None:  # fmt: skip
    """The last tiles of `c` from their parts, in slabs so that every core has work."""
    left, splits, tm, tn = part.shape
    rows, cols = c.shape
    down, across = -(-rows // tm), -(-cols // tn)
    slab = gcd(tm, 16)
    slabs, whole = tm // slab, down * across - left
    more = core.scratchpad((slab, tn), part.dtype, 3)
    total = core.registers((slab, tn), part.dtype)
    end = Epilogue(core, total, c, bias, residual, **ending)
    for i, j, u in core.grid((rows, tm), (cols, tn), slabs, first=whole * slabs):
        lines = Range(u * slab, slab)
        core.acquire(total)
        core.fill(total, 0)
        for h in core.loop(splits):
            core.load(more, part[_number(i, j, across) - whole, h, lines, :])
            core.wait(more)
            core.add(total, total, more)
            core.release(more)
        at = Range(i.start + u * slab, slab)
        end.store(at, j, along=j)


_PART = "part P[S,M,N]"
_PARTS = "part P[R,S,TM,TN]"
_BIAS = "bias C[N]"

split_k_nn, split_k_nt, split_k_tn, split_k_tt = (
    in_layout(_split_k, "split_k", w, outputs=_PART, S=4, P="f32") for w in LAYOUTS
)
split_k_bias_nn, split_k_bias_nt, split_k_bias_tn, split_k_bias_tt = (
    in_layout(_split_k, "split_k_bias", w, inputs=_BIAS, outputs=_PART, S=4, P="f32")
    for w in LAYOUTS
)
split_k_atomic_nn, split_k_atomic_nt, split_k_atomic_tn, split_k_atomic_tt = (
    in_layout(_split_k_atomic, "split_k_atomic", w, C="f32") for w in LAYOUTS
)
_SIZES: dict[str, Any] = stream_k_sizes(4096, 4096, 128, 128, 132)
stream_k_nn, stream_k_nt, stream_k_tn, stream_k_tt = (
    in_layout(_stream_k, "stream_k", w, outputs=_PARTS, P="f32", **_SIZES) for w in LAYOUTS
)
stream_k_bias_nn, stream_k_bias_nt, stream_k_bias_tn, stream_k_bias_tt = (
    in_layout(_stream_k, "stream_k_bias", w, inputs=_BIAS, outputs=_PARTS, P="f32", **_SIZES)
    for w in LAYOUTS
)
