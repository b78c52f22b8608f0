"""The scores of attention that is not fused: scale · q·kᵀ + mask, written to memory.

A tiled product of every query head with the keys it shares; the scale and the mask are put on
the accumulator before it is stored. Softmax and the product with the values are kernels of
their own families.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Range
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.attention_places import Place, bias_shape

HIDDEN = float("-inf")
_EXAMPLE: dict[str, int | str] = {
    "B": 4, "H": 32, "K": 32, "S": 4096, "L": 4096, "D": 128, "T": "bf16", "V": "bf16",
    "X": 4, "Y": 1, "Z": 4096, "W": 4096, "U": "bf16",
}  # fmt: skip


class Scores:
    """The tiles of a core that makes one block of scores."""

    def __init__(
        self, core: Core, q: Tensor, k: Tensor, bias: Tensor | None, scores: Tensor, *,
        scale: float | None = None, causal: bool = False, tm: int = 128, tn: int = 128,
        tk: int = 64, stages: int = 3, resident: int = 1, fresh: bool = False,
    ) -> None:  # fmt: skip
        self.core, self.tensors, self.bias, self.causal = core, (q, k, scores), bias, causal
        self.scale = q.shape[-1] ** -0.5 if scale is None else scale
        self.size, self.depth = (tm, tn), (q.shape[-1], tk)
        self.grid: dict[str, Any] = {"resident": resident, "fresh": fresh, "square": True}
        self.q = core.scratchpad((tm, tk), q.dtype, stages)
        self.k = core.scratchpad((tn, tk), k.dtype, stages)
        self.sum = core.registers((tm, tn), FORMATS[q.dtype].accumulator)
        self.out = core.scratchpad((tm, tn), scores.dtype, 2)
        self.mask: Tile | None = None
        if bias is not None:
            self.mask = core.scratchpad(bias_shape(bias, tm, tn), bias.dtype)
        self.rows, self.cols = core.registers((tm, 1), "i32"), core.registers((1, tn), "i32")
        self.visible = core.registers((tm, tn), "b8")

    def run(self) -> None:
        """All blocks of all heads."""
        core, (q, k, scores) = self.core, self.tensors
        (batch, heads, rows, _), (_, kv_heads, keys, _) = q.shape, k.shape
        if heads % kv_heads:
            raise KernelMistake(f"{heads} query heads cannot share {kv_heads} key heads evenly")
        ratio = heads // kv_heads
        sizes = (batch, kv_heads, ratio, (rows, self.size[0]), (keys, self.size[1]))
        for b, h, g, i, j in core.grid(*sizes, **self.grid):
            place = Place((b, h * ratio + g), (b, h), rows, keys)
            core.fill(self.sum, 0)
            for d in core.blocks(*self.depth):
                core.load(self.q, q[(*place.heads, i, d)])
                core.load(self.k, k[(*place.shared, j, d)])
                core.wait(self.q, self.k)
                core.matmul(self.sum, self.q, self.k, transpose_y=True)
                core.release(self.q, self.k)
            self._mask(place, i, j)
            core.store(scores[(*place.heads, i, j)], self.out)

    def _mask(self, place: Place, i: Range, j: Range) -> None:
        """Leaves the finished block in `out`."""
        core, total = self.core, self.sum
        if self.causal:
            core.iota(self.rows, i, axis=0)
            core.iota(self.cols, j)
            core.le(self.visible, self.cols, self.rows)
            core.select(total, self.visible, total, HIDDEN)
        if self.bias is None or self.mask is None:
            core.acquire(self.out)
            core.mul(self.out, total, self.scale)
            return
        core.load(self.mask, place.bias(self.bias, i, j))
        core.wait(self.mask)
        core.acquire(self.out)
        if self.mask.dtype == "b8":
            core.mul(total, total, self.scale)
            core.select(self.out, self.mask, total, HIDDEN)
        else:
            core.fma(self.out, total, self.scale, self.mask)
        core.release(self.mask)


@kernel("q T[B,H,S,D]; k T[B,K,L,D] -> scores V[B,H,S,L]", **_EXAMPLE)
def attention_scores(core: Core, q: Tensor, k: Tensor, scores: Tensor, **options: Any) -> None:
    """Scaled scores; -inf above the diagonal if `causal`. See `Scores` for the options."""
    Scores(core, q, k, None, scores, **options).run()


@kernel("q T[B,H,S,D]; k T[B,K,L,D]; bias U[X,Y,Z,W] -> scores V[B,H,S,L]", **_EXAMPLE)
def attention_scores_masked(
    core: Core, q: Tensor, k: Tensor, bias: Tensor, scores: Tensor, **options: Any
) -> None:
    """Scaled scores plus a mask, or -inf where a boolean one (b8) is false; 1 broadcasts."""
    Scores(core, q, k, bias, scores, **options).run()
