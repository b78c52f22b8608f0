"""The tiles of layer norm's and RMS norm's backward pass: x̂, sums over rows, and dx."""

from __future__ import annotations

from suiren.core.index import Index, Range
from suiren.core.language import Core
from suiren.core.tile import Tensor, Tile
from suiren.dtype import FORMATS
from suiren.kernels.lines import Lines


class Normal:
    """Blocks of gradients and of normalised numbers x̂, from grad, x and the rows' statistics."""

    def __init__(
        self, core: Core, shape: tuple[int, int], grad: Tensor, x: Tensor, rstd: Tensor,
        mean: Tensor | None, stages: int,
    ) -> None:  # fmt: skip
        self.core, self.tensors = core, (grad, x)
        self.stats = [(t, core.scratchpad((shape[0], 1), t.dtype, stages))
                      for t in (rstd, mean) if t is not None]  # fmt: skip
        self.grad, self.x = (core.scratchpad(shape, t.dtype, stages) for t in (grad, x))
        self.hat = core.registers(shape, FORMATS[x.dtype].accumulator)

    @property
    def rstd(self) -> Tile:
        """1 / √(variance + eps) of each row."""
        return self.stats[0][1]

    @property
    def centred(self) -> bool:
        """False for RMS norm."""
        return len(self.stats) == 2

    def begin(self, i: Range) -> None:
        """Loads the statistics of some rows."""
        for tensor, tile in self.stats:
            self.core.load(tile, tensor[i].matrix((0,), ()))
            self.core.wait(tile)

    def end(self) -> None:
        """Gives them back."""
        self.core.release(*(tile for _, tile in self.stats))

    def load(self, i: Range, n: Range) -> None:
        """Leaves a block of x̂ in `hat`, and of gradients in `grad`, to be released."""
        core = self.core
        core.load(self.x, self.tensors[1][i, n])
        core.load(self.grad, self.tensors[0][i, n])
        core.wait(self.x, self.grad)
        if self.centred:
            core.sub(self.hat, self.x, self.stats[1][1])
            core.mul(self.hat, self.hat, self.rstd)
        else:
            core.mul(self.hat, self.x, self.rstd)
        core.release(self.x)


class Sums:
    """Sums over rows of grad · x̂ and of grad, [1, n], and the parts they are stored in."""

    def __init__(self, core: Core, parts: Tensor, width: int, dtype: str) -> None:
        self.core, self.parts = core, parts
        self.sums = [core.registers((1, width), dtype) for _ in range(parts.shape[0])]
        self.more = core.registers((1, width), dtype)
        self.out = core.scratchpad((1, width), parts.dtype, 2)

    def clear(self) -> None:
        """Nothing summed so far."""
        for tile in self.sums:
            self.core.fill(tile, 0)

    def add(self, product: Tile, grad: Tile) -> None:
        """Adds the rows of a block: grad · x̂ and, if there is a bias, grad."""
        for total, tile in zip(self.sums, (product, grad), strict=False):
            self.core.row_sum(self.more, tile, axis=0)
            self.core.add(total, total, self.more)

    def store(self, q: Index, n: Range) -> None:
        """Stores them as row `q` of the parts."""
        for z, total in enumerate(self.sums):
            self.core.acquire(self.out)
            self.core.cast(self.out, total)
            self.core.store(self.parts[z, q, n].matrix((), (0,)), self.out)


class Slopes:
    """The tiles of a core that writes dx."""

    def __init__(
        self, core: Core, lines: Lines, normal: Normal, weight: Tensor | None, dx: Tensor,
        stages: int,
    ) -> None:  # fmt: skip
        self.core, self.lines, self.normal, self.weight, self.dx = core, lines, normal, weight, dx
        wide = normal.hat.dtype
        self.factor = (None if weight is None
                       else core.scratchpad((1, lines.along), weight.dtype, stages))  # fmt: skip
        self.work, self.weighted = (core.registers(lines.block, wide) for _ in range(2))
        self.by_hat, self.alone, self.part = (core.registers(lines.column, wide) for _ in range(3))
        self.out = core.scratchpad(lines.block, dx.dtype, 2)

    def load_weight(self, n: Range) -> None:
        """Loads the weights of some columns, if there are any."""
        if self.weight is not None and self.factor is not None:
            self.core.load(self.factor, self.weight[n].matrix((), (0,)))
            self.core.wait(self.factor)

    def release_weight(self) -> None:
        """Gives them back."""
        if self.factor is not None:
            self.core.release(self.factor)

    def weigh(self) -> Tile:
        """The block's gradients times the weights."""
        if self.factor is None:
            return self.normal.grad
        self.core.mul(self.weighted, self.normal.grad, self.factor)
        return self.weighted

    def clear(self) -> None:
        """Nothing measured so far."""
        self.core.fill(self.by_hat, 0)
        self.core.fill(self.alone, 0)

    def measure(self, weighted: Tile) -> None:
        """Adds a block's sums of g · x̂ and of g to those of its rows."""
        core = self.core
        core.mul(self.work, weighted, self.normal.hat)
        core.row_sum(self.part, self.work)
        core.add(self.by_hat, self.by_hat, self.part)
        if self.normal.centred:
            core.row_sum(self.part, weighted)
            core.add(self.alone, self.alone, self.part)

    def close(self) -> None:
        """From sums to what x̂ is multiplied with, and what is added."""
        for tile in (self.by_hat, self.alone) if self.normal.centred else (self.by_hat,):
            self.core.mul(tile, tile, -1 / self.lines.length)

    def write(self, i: Range, n: Range, weighted: Tile) -> None:
        """Stores a block of dx."""
        core = self.core
        core.fma(self.work, self.normal.hat, self.by_hat, weighted)
        if self.normal.centred:
            core.add(self.work, self.work, self.alone)
        core.release(self.normal.grad)
        core.acquire(self.out)
        core.mul(self.out, self.work, self.normal.rstd)
        core.store(self.dx[i, n], self.out)


def add_parts(
    core: Core, parts: Tensor, results: tuple[Tensor, ...], width: int = 64, rows: int = 128
) -> None:
    """Sums parts[z, :, n] into the z-th result."""
    pieces, length = parts.shape[1:]
    width = min(width, length)
    held = core.scratchpad((min(rows, pieces), width), parts.dtype, 2)
    total, more = (core.registers((1, width), parts.dtype) for _ in range(2))
    out = [core.scratchpad((1, width), r.dtype, 2) for r in results]
    for n in core.grid((length, width)):
        for z, (result, tile) in enumerate(zip(results, out, strict=True)):
            core.fill(total, 0)
            for q in core.blocks(pieces, held.shape[0]):
                core.load(held, parts[z, q, n])
                core.wait(held)
                core.row_sum(more, held, axis=0)
                core.release(held)
                core.add(total, total, more)
            core.acquire(tile)
            core.cast(tile, total)
            core.store(result[n].matrix((), (0,)), tile)
