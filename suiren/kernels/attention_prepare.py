"""What runs before fused attention in a serving engine: positions are turned in, keys are kept.

Rotary embedding of queries and keys [N, H, D]: halves (a, b) of a head's row become
(a·cos − b·sin, a·sin + b·cos), with angles [N, D/2]. Queries are written for the attention
kernel; keys and values into the cache, in its format, and once more for the kernel where the
cache cannot be read by it. Each core takes `tm` tokens of one head.
"""

from __future__ import annotations

from suiren.core.index import Index, Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.lines import block


class _Turn:
    """Tiles that rotate `tm` tokens of one head; angles serve all heads of a tile."""

    def __init__(self, core: Core, half: int, dtype: str, tm: int, stages: int) -> None:
        self.core, self.half = core, half
        self.a, self.b = (core.scratchpad((tm, half), dtype, stages) for _ in range(2))
        self.cos, self.sin = (core.scratchpad((tm, half), "f32", 2) for _ in range(2))
        self.x, self.y = (core.registers((tm, half)) for _ in range(2))

    def halves(self) -> tuple[Range, Range]:
        """The columns of both halves."""
        return block(0, self.half), block(self.half, self.half)

    def at(self, angles: tuple[Tensor, Tensor], i: Range) -> None:
        """Loads the angles of some tokens."""
        core, (low, _) = self.core, self.halves()
        core.load(self.cos, angles[0][i, low])
        core.load(self.sin, angles[1][i, low])
        core.wait(self.cos, self.sin)

    def turn(self, x: Tensor, i: Range, h: Index) -> None:
        """Loads and rotates a head's rows; the results are `x` and `y`."""
        core, (low, high) = self.core, self.halves()
        core.load(self.a, x[i, h, low])
        core.load(self.b, x[i, h, high])
        core.wait(self.a, self.b)
        core.mul(self.x, self.b, self.sin)
        core.neg(self.x, self.x)
        core.fma(self.x, self.a, self.cos, self.x)
        core.mul(self.y, self.a, self.sin)
        core.fma(self.y, self.b, self.cos, self.y)
        core.release(self.a, self.b)


@kernel(
    "q T[N,H,D]; k T[N,K,D]; v T[N,K,D]; cos f32[N,E]; sin f32[N,E] "
    "-> turned U[N,H,D]; kept C[N,K,D]; values C[N,K,D]",
    N=4096, H=32, K=8, D=128, E=64, T="bf16", U="bf16", C="bf16",
)  # fmt: skip
def attention_prepare(
    core: Core, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, turned: Tensor,
    kept: Tensor, values: Tensor, tm: int = 16, heads: int = 1, stages: int = 4,
) -> None:  # fmt: skip
    """Queries turned; keys turned and values as they are, both in the cache's format.

    A tile is `tm` tokens of `heads` heads.
    """
    half = q.shape[2] // 2
    turn = _Turn(core, half, q.dtype, tm, stages)
    value = core.scratchpad((tm, q.shape[2]), v.dtype, stages)
    wide = core.scratchpad((tm, q.shape[2]), values.dtype, 2)
    for target, source in ((turned, q), (kept, k)):
        low = core.scratchpad((tm, half), target.dtype, 2)
        high = core.scratchpad((tm, half), target.dtype, 2)
        together = _divisor(source.shape[1], heads)
        for i, first in core.grid((q.shape[0], tm), source.shape[1] // together):
            turn.at((cos, sin), i)
            for n in core.loop(together):
                h = first * together + n
                turn.turn(source, i, h)
                core.acquire(low, high)
                core.cast(low, turn.x)
                core.cast(high, turn.y)
                for tile, columns in zip((low, high), turn.halves(), strict=True):
                    core.store(target[i, h, columns], tile)
                if target is kept:
                    core.load(value, v[i, h, :])
                    core.wait(value)
                    core.acquire(wide)
                    core.cast(wide, value)
                    core.release(value)
                    core.store(values[i, h, :], wide)
            core.release(turn.cos, turn.sin)


@kernel(
    "k T[N,K,D]; v T[N,K,D] -> kept C[N,K,D]; values C[N,K,D]",
    N=4096, K=8, D=128, T="bf16", C="bf16",
)  # fmt: skip
def attention_keep(
    core: Core, k: Tensor, v: Tensor, kept: Tensor, values: Tensor, tm: int = 16, stages: int = 4
) -> None:
    """Keys and values into the cache, in its format; positions were turned before."""
    tile = core.scratchpad((tm, k.shape[2]), k.dtype, stages)
    cast = core.scratchpad((tm, k.shape[2]), kept.dtype, 2)
    for i, h in core.grid((k.shape[0], tm), k.shape[1]):
        for source, target in ((k, kept), (v, values)):
            core.load(tile, source[i, h, :])
            core.wait(tile)
            core.acquire(cast)
            core.cast(cast, tile)
            core.release(tile)
            core.store(target[i, h, :], cast)


def _divisor(number: int, most: int) -> int:
    """The largest divisor that is not above `most`."""
    return max(d for d in range(1, number + 1) if number % d == 0 and d <= max(1, most))
