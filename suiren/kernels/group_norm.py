"""Group norm of [N, C, P]: the C / G channels of a group in one image are normalised together.

    y = (x − mean) · rstd · weight + bias        rstd = 1 / √(variance + eps)

A group that a core can hold is read once. Of a larger one, a core merges the moments block by
block; behind a barrier all cores share the blocks and normalise them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from suiren.core.index import Index, Range, whole
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, View
from suiren.dtype import FORMATS
from suiren.kernels.lines import even, scalar, turned, turns_of
from suiren.kernels.moments import Moments, fold

_EXAMPLE: dict[str, int | str] = {
    "N": 8, "C": 320, "P": 4096, "G": 32, "T": "bf16", "W": "bf16", "R": "f32",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of channels, and the blocks of one: some of its channels, some of its positions."""

    shape: tuple[int, ...]
    count: int
    block: tuple[int, int]

    @classmethod
    def of(
        cls, shape: tuple[int, ...], count: int, elements: int = 8192, longest: int = 8192
    ) -> Groups:
        """About `elements` to a block; a group is kept whole if `longest` elements hold it."""
        if shape[1] % count:
            raise KernelMistake(f"{shape[1]} channels do not split into {count} groups")
        channels, length = shape[1] // count, shape[2]
        if channels * length <= longest:
            return cls(shape, count, (channels, length))
        width = even(length, elements)
        return cls(shape, count, (min(channels, max(1, elements // width)), width))

    @property
    def channels(self) -> int:
        """Channels of a group."""
        return self.shape[1] // self.count

    @property
    def numbers(self) -> int:
        """Numbers that are normalised together."""
        return self.channels * self.shape[2]

    @property
    def are_whole(self) -> bool:
        """True if a block is a group."""
        return self.block == (self.channels, self.shape[2])

    def inside(self, g: Index, c: Range) -> Range:
        """Channels `c` of group `g`, counted in the tensor."""
        return c + g * self.channels

    def blocks(self, core: Core, g: Index) -> Iterator[tuple[Range, Range]]:
        """The blocks of a group: channels and positions."""
        if self.are_whole:
            yield self.inside(g, whole(self.channels)), whole(self.shape[2])
            return
        for c in core.blocks(self.channels, self.block[0]):
            for p in core.blocks(self.shape[2], self.block[1]):
                yield self.inside(g, c), p

    def dealt(
        self, core: Core, **grid: Any
    ) -> Iterator[tuple[Index, Index, Range, Iterator[Range]]]:
        """Every tile of some channels of a group: image, group, channels, blocks of positions."""
        (images, _, length), (rows, width) = self.shape, self.block
        tiles = images * self.count * ceil(self.channels / rows) * ceil(length / width)
        extent = (length, width * min(ceil(length / width), turns_of(tiles)))
        for n, g, c, p in core.grid(images, self.count, (self.channels, rows), extent, **grid):
            yield n, g, self.inside(g, c), turned(core, p, width)


def per_channel(tensor: Tensor, c: Range, *lead: int | Index) -> View:
    """Numbers of some channels as a column, of a tensor [lead, C]."""
    return tensor[(*lead, c)].matrix((0,), ())


class GroupNorm:
    """The tiles of a core that normalises groups."""

    def __init__(
        self, core: Core, x: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor,
        rstd: Tensor, *, eps: float = 1e-5, stages: int = 2, resident: int = 1, fresh: bool = False,
        **tiles: int,
    ) -> None:  # fmt: skip
        self.core, self.eps, self.stages = core, eps, stages
        self.x, self.y, self.affine, self.stats = x, y, (weight, bias), (mean, rstd)
        self.grid: dict[str, Any] = {"resident": resident, "fresh": fresh}
        self.groups = groups = Groups.of(x.shape, mean.shape[1], **tiles)
        wide, rows = FORMATS[x.dtype].accumulator, groups.block[0]
        self.held = core.scratchpad(groups.block, x.dtype, stages)
        self.out = core.scratchpad(groups.block, y.dtype, 2)
        self.factors = [core.scratchpad((rows, 1), t.dtype, stages) for t in self.affine]
        self.stats_out = [core.scratchpad((1, 1), t.dtype, 2) for t in self.stats]
        self.work, self.square = (core.registers(groups.block, wide) for _ in range(2))
        self.between = core.registers((rows, 1), wide)
        self.mean, self.rstd = (core.registers((1, 1), wide) for _ in range(2))

    def run(self) -> None:
        """All groups."""
        if self.groups.are_whole:
            self._whole()
        else:
            self._measure()
            self.core.barrier()
            self._normalise()

    def _whole(self) -> None:
        core, groups = self.core, self.groups
        for n, g, c, blocks in groups.dealt(core, **self.grid):
            self._load_factors(c)
            for p in blocks:
                core.load(self.held, self.x[n, c, p])
                core.wait(self.held)
                fold(core, self.mean, self.held, self.between)
                core.mul(self.mean, self.mean, 1 / groups.numbers)
                core.sub(self.work, self.held, self.mean)
                core.release(self.held)
                core.mul(self.square, self.work, self.work)
                fold(core, self.rstd, self.square, self.between)
                self._store_statistics(n, g)
                core.mul(self.work, self.work, self.rstd)
                self._finish(n, c, p)
            core.release(*self.factors)

    def _measure(self) -> None:
        """Statistics of groups that do not fit."""
        core, groups = self.core, self.groups
        moments = Moments(core, groups.block, (1, 1), self.work.dtype)
        for n, g in core.grid(groups.shape[0], groups.count, **self.grid):
            moments.clear()
            for c, p in groups.blocks(core, g):
                core.load(self.held, self.x[n, c, p])
                core.wait(self.held)
                moments.add(self.held, [(0, c), (1, p)])
                core.release(self.held)
            core.cast(self.mean, moments.mean)
            core.cast(self.rstd, moments.squares)
            self._store_statistics(n, g)

    def _normalise(self) -> None:
        core = self.core
        held = [core.scratchpad((1, 1), t.dtype, self.stages) for t in self.stats]
        for n, g, c, blocks in self.groups.dealt(core, **self.grid):
            for tile, tensor in zip(held, self.stats, strict=True):
                core.load(tile, scalar(tensor, n, g))
            core.wait(*held)
            self._load_factors(c)
            for p in blocks:
                core.load(self.held, self.x[n, c, p])
                core.wait(self.held)
                core.sub(self.work, self.held, held[0])
                core.release(self.held)
                core.mul(self.work, self.work, held[1])
                self._finish(n, c, p)
            core.release(*held, *self.factors)

    def _store_statistics(self, n: Index, g: Index) -> None:
        """From the sum of squares to rstd; stores both statistics."""
        core = self.core
        core.mul(self.rstd, self.rstd, 1 / self.groups.numbers)
        core.add(self.rstd, self.rstd, self.eps)
        core.rsqrt(self.rstd, self.rstd)
        for tile, value, tensor in zip(self.stats_out, (self.mean, self.rstd), self.stats,
                                       strict=True):  # fmt: skip
            core.acquire(tile)
            core.cast(tile, value)
            core.store(scalar(tensor, n, g), tile)

    def _load_factors(self, c: Range) -> None:
        for tile, tensor in zip(self.factors, self.affine, strict=True):
            self.core.load(tile, per_channel(tensor, c))
            self.core.wait(tile)

    def _finish(self, n: Index, c: Range, p: Range) -> None:
        """Scales the block by its channels' weights and stores it."""
        core = self.core
        core.acquire(self.out)
        core.fma(self.out, self.work, *self.factors)
        core.store(self.y[n, c, p], self.out)


@kernel("x T[N,C,P]; weight W[C]; bias W[C] -> y T[N,C,P]; mean R[N,G]; rstd R[N,G]", **_EXAMPLE)
def group_norm(
    core: Core, x: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, rstd: Tensor,
    **options: Any,
) -> None:  # fmt: skip
    """Group norm; `G` is the number of groups. Options: `eps`, `stages`, those of `Groups.of`."""
    GroupNorm(core, x, weight, bias, y, mean, rstd, **options).run()
