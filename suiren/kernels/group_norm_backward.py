"""Group norm, backward.

With x̂ = (x − mean) · rstd, g = grad · weight, and means over the numbers of a group:

    dx = rstd · (g − mean of g − x̂ · mean of g·x̂)
    dweight = Σ grad · x̂ over images and positions      dbias = Σ grad

`sums` gets Σ grad and Σ grad · x̂ of every channel of every image: weighted by the channels of
a group they are its two means, summed over images they are the gradients of bias and weight.
A group that a core can hold is read once, a larger one twice, with a barrier in between.
"""

from __future__ import annotations

from typing import Any

from suiren.core.index import Index, Range, whole
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.group_norm import Groups, per_channel
from suiren.kernels.lines import scalar
from suiren.kernels.moments import fold
from suiren.kernels.normalisation_tiles import add_parts

_EXAMPLE: dict[str, int | str] = {
    "N": 8, "C": 320, "P": 4096, "G": 32, "T": "bf16", "W": "bf16", "R": "f32",
}  # fmt: skip


class Backward:
    """The tiles of a core that makes the gradients of groups."""

    def __init__(
        self, core: Core, grad: Tensor, x: Tensor, weight: Tensor, stats: tuple[Tensor, Tensor],
        dx: Tensor, sums: Tensor, *, stages: int = 2, resident: int = 1, fresh: bool = False,
        **tiles: int,
    ) -> None:  # fmt: skip
        self.core, self.tensors, self.stats = core, (grad, x, dx), stats
        self.weight, self.sums = weight, sums
        self.grid: dict[str, Any] = {"resident": resident, "fresh": fresh}
        self.groups = groups = Groups.of(x.shape, stats[0].shape[1], **tiles)
        wide, block, column = FORMATS[x.dtype].accumulator, groups.block, (groups.block[0], 1)
        self.grad, self.x = (core.scratchpad(block, t.dtype, stages) for t in (grad, x))
        self.held = [core.scratchpad((1, 1), t.dtype, stages) for t in stats]
        self.factor = core.scratchpad(column, weight.dtype, stages)
        self.out = core.scratchpad(block, dx.dtype, 2)
        self.hat, self.work = (core.registers(block, wide) for _ in range(2))
        self.totals = [core.registers(column, wide) for _ in range(2)]
        self.part, self.sums_out = (
            core.registers(column, wide),
            core.scratchpad(column, sums.dtype, 2),
        )
        self.means = [core.registers((1, 1), wide) for _ in range(2)]

    def run(self) -> None:
        """All groups, and the sums of their channels."""
        if self.groups.are_whole:
            self._whole()
        else:
            self._measure()
            self.core.barrier()
            self._spread()

    def _whole(self) -> None:
        core = self.core
        for n, g, c, blocks in self.groups.dealt(core, **self.grid):
            self._load_statistics(n, g)
            self._load_factor(c)
            for p in blocks:
                self._load(n, c, p)
                for total, values in zip(self.totals, self._products(), strict=True):
                    fold(core, total, values)
                self._store_sums(n, c)
                self._average(self.factor, self.totals, self.part)
                self._finish(n, c, p)
            core.release(self.factor, *self.held)

    def _measure(self) -> None:
        """Sums of the channels of groups that do not fit."""
        core, groups = self.core, self.groups
        (images, _, length), (rows, width) = groups.shape, groups.block
        for n, g, inner in core.grid(images, groups.count, (groups.channels, rows), **self.grid):
            c = groups.inside(g, inner)
            self._load_statistics(n, g)
            for total in self.totals:
                core.fill(total, 0)
            for p in core.blocks(length, width):
                self._load(n, c, p)
                for total, values in zip(self.totals, self._products(), strict=True):
                    fold(core, self.part, values)
                    core.add(total, total, self.part)
                core.release(self.grad)
            core.release(*self.held)
            self._store_sums(n, c)

    def _spread(self) -> None:
        """Gradients of groups that do not fit, from the sums of all of their channels."""
        core, groups, stages = self.core, self.groups, self.factor.buffers
        every = (groups.channels, 1)
        weights = core.scratchpad(every, self.weight.dtype, stages)
        sums = [core.scratchpad(every, self.sums.dtype, stages) for _ in range(2)]
        part = core.registers(every, self.hat.dtype)
        for n, g, c, blocks in groups.dealt(core, **self.grid):
            group = groups.inside(g, whole(groups.channels))
            core.load(weights, per_channel(self.weight, group))
            for z, tile in enumerate(sums):
                core.load(tile, per_channel(self.sums, group, z, n))
            core.wait(weights, *sums)
            self._average(weights, sums, part)
            core.release(weights, *sums)
            self._load_statistics(n, g)
            self._load_factor(c)
            for p in blocks:
                self._load(n, c, p)
                self._finish(n, c, p)
            core.release(self.factor, *self.held)

    def _load_factor(self, c: Range) -> None:
        self.core.load(self.factor, per_channel(self.weight, c))
        self.core.wait(self.factor)

    def _load_statistics(self, n: Index, g: Index) -> None:
        for tile, tensor in zip(self.held, self.stats, strict=True):
            self.core.load(tile, scalar(tensor, n, g))
            self.core.wait(tile)

    def _load(self, n: Index, c: Range, p: Range) -> None:
        """Leaves a block of x̂ in `hat`, and of gradients in `grad`, to be released."""
        core = self.core
        core.load(self.x, self.tensors[1][n, c, p])
        core.load(self.grad, self.tensors[0][n, c, p])
        core.wait(self.x, self.grad)
        core.sub(self.hat, self.x, self.held[0])
        core.mul(self.hat, self.hat, self.held[1])
        core.release(self.x)

    def _products(self) -> tuple[Tile, Tile]:
        """What is summed: grad, and grad · x̂."""
        self.core.mul(self.work, self.grad, self.hat)
        return self.grad, self.work

    def _store_sums(self, n: Index, c: Range) -> None:
        for z, total in enumerate(self.totals):
            self.core.acquire(self.sums_out)
            self.core.cast(self.sums_out, total)
            self.core.store(per_channel(self.sums, c, z, n), self.sums_out)

    def _average(self, weights: Tile, sums: list[Tile], part: Tile) -> None:
        """Means of g and of g · x̂ over a group, negative."""
        for mean, total in zip(self.means, sums, strict=True):
            self.core.mul(part, weights, total)
            fold(self.core, mean, part)
            self.core.mul(mean, mean, -1 / self.groups.numbers)

    def _finish(self, n: Index, c: Range, p: Range) -> None:
        """Stores a block of dx."""
        core = self.core
        core.mul(self.work, self.grad, self.factor)
        core.release(self.grad)
        core.fma(self.work, self.hat, self.means[1], self.work)
        core.add(self.work, self.work, self.means[0])
        core.acquire(self.out)
        core.mul(self.out, self.work, self.held[1])
        core.store(self.tensors[2][n, c, p], self.out)


@kernel(
    "grad T[N,C,P]; x T[N,C,P]; weight W[C]; mean R[N,G]; rstd R[N,G] "
    "-> dx T[N,C,P]; dweight W[C]; dbias W[C]; sums R[2,N,C]",
    **_EXAMPLE,
)
def group_norm_backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, dx: Tensor,
    dweight: Tensor, dbias: Tensor, sums: Tensor, **options: Any,
) -> None:  # fmt: skip
    """All gradients; `sums` is its workspace. Options: `stages`, those of `Groups.of`."""
    Backward(core, grad, x, weight, (mean, rstd), dx, sums, **options).run()
    core.barrier()
    add_parts(core, sums, (dbias, dweight))
