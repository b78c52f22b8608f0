"""Layer norm and RMS norm of the rows of [M, N].

    layer norm: y = (x − mean) · rstd · weight + bias      rstd = 1 / √(variance + eps)
    RMS norm:   y = x · rstd · weight                      rstd = 1 / √(mean of x² + eps)

A core loads weight and bias once for all the rows of a tile and works through them a few at a
time: statistics and results are made from one reading. Rows longer than a core can
hold are read twice, their moments merged block by block.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Range, whole
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.lines import Lines
from suiren.kernels.moments import Moments

_EXAMPLE: dict[str, int | str] = {"M": 8192, "N": 4096, "T": "bf16", "W": "bf16", "R": "f32"}


class RowNorm:
    """The tiles of a core that normalises rows; `mean` is None for RMS norm.

    `tiles` are those of `Lines.of`.
    """

    def __init__(
        self, core: Core, x: Tensor, y: Tensor, rstd: Tensor, mean: Tensor | None,
        weight: Tensor | None, bias: Tensor | None, *, eps: float = 1e-5, stages: int = 2,
        buffers: int = 2, **tiles: Any,
    ) -> None:  # fmt: skip
        self.core, self.tensors, self.stats, self.eps = core, (x, y), (rstd, mean), eps
        self.lines = lines = Lines.of(x.shape, **tiles)
        wide = FORMATS[x.dtype].accumulator
        self.x = core.scratchpad(lines.block, x.dtype, stages)
        self.y = core.scratchpad(lines.block, y.dtype, buffers)
        self.affine = [(t, core.scratchpad((1, lines.along), t.dtype, stages))
                       for t in (weight, bias) if t is not None]  # fmt: skip
        self.stats_out = [core.scratchpad(lines.column, rstd.dtype, 2) for _ in range(2)]
        self.work, self.square = (core.registers(lines.block, wide) for _ in range(2))
        self.mean, self.rstd, self.part = (core.registers(lines.column, wide) for _ in range(3))
        self.moments = None
        if mean is not None and not lines.are_whole:
            self.moments = Moments(core, lines.block, lines.column, wide)

    def run(self) -> None:
        """All rows."""
        core, lines = self.core, self.lines
        for tile in lines.deal(core):
            if lines.are_whole:
                self._load_affine(whole(lines.length))
            for (i,) in lines.turn(core, tile):
                if lines.are_whole:
                    self._whole(i)
                else:
                    self._statistics(i)
                    for n in lines.blocks(core):
                        self._load(i, n)
                        self._load_affine(n)
                        self._centre()
                        self._finish(i, n)
                        self._release_affine()
                self._store_statistics(i)
            if lines.are_whole:
                self._release_affine()

    def _whole(self, i: Range) -> None:
        core, n = self.core, whole(self.lines.length)
        self._load(i, n)
        if self.stats[1] is not None:
            core.row_sum(self.mean, self.x)
            core.mul(self.mean, self.mean, 1 / n.size)
        self._centre()
        core.mul(self.square, self.work, self.work)
        core.row_sum(self.rstd, self.square)
        self._root()
        self._finish(i, n)

    def _statistics(self, i: Range) -> None:
        """First reading of rows that do not fit."""
        core = self.core
        if self.moments is not None:
            self.moments.clear()
        else:
            core.fill(self.rstd, 0)
        for n in self.lines.blocks(core):
            self._load(i, n)
            if self.moments is not None:
                self.moments.add(self.x, [(1, n)])
            else:
                core.mul(self.square, self.x, self.x)
                core.row_sum(self.part, self.square)
                core.add(self.rstd, self.rstd, self.part)
            core.release(self.x)
        if self.moments is not None:
            core.cast(self.mean, self.moments.mean)
            core.cast(self.rstd, self.moments.squares)
        self._root()

    def _load(self, i: Range, n: Range) -> None:
        self.core.load(self.x, self.tensors[0][i, n])
        self.core.wait(self.x)

    def _centre(self) -> None:
        """Leaves the tile in `work`, less its mean; the loaded one is given back."""
        if self.stats[1] is None:
            self.core.cast(self.work, self.x)
        else:
            self.core.sub(self.work, self.x, self.mean)
        self.core.release(self.x)

    def _root(self) -> None:
        """From the sum of squares to 1 / √(their mean + eps)."""
        self.core.mul(self.rstd, self.rstd, 1 / self.lines.length)
        self.core.add(self.rstd, self.rstd, self.eps)
        self.core.rsqrt(self.rstd, self.rstd)

    def _finish(self, i: Range, n: Range) -> None:
        """Scales the tile and stores it."""
        core, factors = self.core, [tile for _, tile in self.affine]
        core.acquire(self.y)
        if not factors:
            core.mul(self.y, self.work, self.rstd)
        else:
            core.mul(self.work, self.work, self.rstd)
            if len(factors) == 2:
                core.fma(self.y, self.work, *factors)
            else:
                core.mul(self.y, self.work, *factors)
        core.store(self.tensors[1][i, n], self.y)

    def _load_affine(self, n: Range) -> None:
        for tensor, tile in self.affine:
            self.core.load(tile, tensor[n].matrix((), (0,)))
            self.core.wait(tile)

    def _release_affine(self) -> None:
        self.core.release(*(tile for _, tile in self.affine))

    def _store_statistics(self, i: Range) -> None:
        pairs: list[tuple[Tensor | None, Tile]] = [
            (self.stats[0], self.rstd), (self.stats[1], self.mean)
        ]  # fmt: skip
        for (tensor, value), out in zip(pairs, self.stats_out, strict=True):
            if tensor is not None:
                self.core.acquire(out)
                self.core.cast(out, value)
                self.core.store(self.lines.numbers(tensor, (i,)), out)


@kernel("x T[M,N]; weight W[N]; bias W[N] -> y T[M,N]; mean R[M]; rstd R[M]", **_EXAMPLE)
def layer_norm(
    core: Core, x: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, rstd: Tensor,
    **options: Any,
) -> None:  # fmt: skip
    """Layer norm; options of `RowNorm`."""
    RowNorm(core, x, y, rstd, mean, weight, bias, **options).run()


@kernel("x T[M,N]; weight W[N] -> y T[M,N]; mean R[M]; rstd R[M]", **_EXAMPLE)
def layer_norm_unbiased(
    core: Core, x: Tensor, weight: Tensor, y: Tensor, mean: Tensor, rstd: Tensor, **options: Any
) -> None:
    """Layer norm without a bias."""
    RowNorm(core, x, y, rstd, mean, weight, None, **options).run()


@kernel("x T[M,N] -> y T[M,N]; mean R[M]; rstd R[M]", **_EXAMPLE)
def layer_norm_plain(
    core: Core, x: Tensor, y: Tensor, mean: Tensor, rstd: Tensor, **options: Any
) -> None:
    """Layer norm without weight and bias."""
    RowNorm(core, x, y, rstd, mean, None, None, **options).run()


@kernel("x T[M,N]; weight W[N] -> y T[M,N]; rstd R[M]", **_EXAMPLE)
def rms_norm(
    core: Core, x: Tensor, weight: Tensor, y: Tensor, rstd: Tensor, **options: Any
) -> None:
    """RMS norm; options of `RowNorm`."""
    RowNorm(core, x, y, rstd, None, weight, None, **options).run()


@kernel("x T[M,N] -> y T[M,N]; rstd R[M]", **_EXAMPLE)
def rms_norm_plain(core: Core, x: Tensor, y: Tensor, rstd: Tensor, **options: Any) -> None:
    """RMS norm without a weight."""
    RowNorm(core, x, y, rstd, None, None, None, **options).run()
