"""Layer norm and RMS norm, backward.

With x̂ = (x − mean) · rstd and g = grad · weight:

    dx = rstd · (g − mean of g − x̂ · mean of g·x̂)      (RMS norm: without the mean of g)
    dweight = Σ grad · x̂ over all rows                  dbias = Σ grad

A core takes a piece of the rows, writes their gradients and keeps the sums over its rows for
weight and bias; it stores them as one row of `parts`, and behind a barrier the parts are added
up column by column. Rows longer than a core can hold are read twice for dx, and once more,
in columns, for the sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suiren.core.index import Index, Range, whole
from suiren.core.kernel import kernel
from suiren.core.language import Core
from suiren.core.tile import Tensor
from suiren.kernels.folding import piece_blocks
from suiren.kernels.lines import Lines
from suiren.kernels.normalisation_tiles import Normal, Slopes, Sums, add_parts

_EXAMPLE: dict[str, int | str] = {
    "M": 8192, "N": 4096, "Q": 128, "T": "bf16", "W": "bf16", "R": "f32",
}  # fmt: skip


def _backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor | None, rstd: Tensor, mean: Tensor | None,
    dx: Tensor, sums: tuple[Tensor, ...] = (), stages: int = 2, **tiles: Any,
) -> None:  # fmt: skip
    """`sums` are dweight, dbias if there is one, and parts; `tiles` are those of `Lines.of`."""
    lines = Lines.of(x.shape, **tiles)
    normal = Normal(core, lines.block, grad, x, rstd, mean, stages)
    slopes = Slopes(core, lines, normal, weight, dx, stages)
    if lines.are_whole:
        _whole_rows(core, lines, normal, slopes, sums[-1] if sums else None)
    else:
        _cut_rows(core, lines, normal, slopes)
        if sums:
            _columns(core, lines, Normal(core, lines.block, grad, x, rstd, mean, stages), sums[-1])
    if sums:
        core.barrier()
        add_parts(core, sums[-1], sums[:-1])


def _whole_rows(
    core: Core, lines: Lines, normal: Normal, slopes: Slopes, parts: Tensor | None
) -> None:
    """Rows that fit: dx and the sums from one reading."""
    every = whole(lines.length)
    sums = None if parts is None else Sums(core, parts, lines.length, normal.hat.dtype)
    for q, blocks in _dealt_rows(core, lines, parts):
        slopes.load_weight(every)
        if sums is not None:
            sums.clear()
        for i in blocks:
            normal.begin(i)
            normal.load(i, every)
            if sums is not None:
                core.mul(slopes.work, normal.grad, normal.hat)
                sums.add(slopes.work, normal.grad)
            slopes.clear()
            weighted = slopes.weigh()
            slopes.measure(weighted)
            slopes.close()
            slopes.write(i, every, weighted)
            normal.end()
        slopes.release_weight()
        if sums is not None:
            sums.store(q, every)


def _dealt_rows(
    core: Core, lines: Lines, parts: Tensor | None
) -> Iterator[tuple[Index, Iterator[Range]]]:
    """The rows that one tile of the grid works through: a piece of them for each of the parts."""
    if parts is None:
        for tile in lines.deal(core):
            yield Index(), (i for (i,) in lines.turn(core, tile))
        return
    pieces = parts.shape[1]
    for q in core.grid(pieces, resident=lines.resident, fresh=lines.fresh):
        yield q, piece_blocks(core, lines.shape[0], lines.across, pieces, q)


def _cut_rows(core: Core, lines: Lines, normal: Normal, slopes: Slopes) -> None:
    """Rows that do not fit: their sums first, then dx."""
    for (i,) in lines.tiles(core):
        normal.begin(i)
        slopes.clear()
        for n in lines.blocks(core):
            normal.load(i, n)
            slopes.load_weight(n)
            slopes.measure(slopes.weigh())
            slopes.release_weight()
            core.release(normal.grad)
        slopes.close()
        for n in lines.blocks(core):
            normal.load(i, n)
            slopes.load_weight(n)
            slopes.write(i, n, slopes.weigh())
            slopes.release_weight()
        normal.end()


def _columns(core: Core, lines: Lines, normal: Normal, parts: Tensor) -> None:
    """Sums for weight and bias of rows that do not fit: block of columns by block of columns."""
    pieces, (count, length) = parts.shape[1], lines.shape
    work = core.registers(lines.block, normal.hat.dtype)
    sums = Sums(core, parts, lines.along, normal.hat.dtype)
    for q, n in core.grid(pieces, (length, lines.along)):
        sums.clear()
        for i in piece_blocks(core, count, lines.across, pieces, q):
            normal.begin(i)
            normal.load(i, n)
            core.mul(work, normal.grad, normal.hat)
            sums.add(work, normal.grad)
            core.release(normal.grad)
            normal.end()
        sums.store(q, n)


@kernel(
    "grad T[M,N]; x T[M,N]; weight W[N]; mean R[M]; rstd R[M] "
    "-> dx T[M,N]; dweight W[N]; dbias W[N]; parts R[2,Q,N]",
    **_EXAMPLE,
)
def layer_norm_backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, dx: Tensor,
    dweight: Tensor, dbias: Tensor, parts: Tensor, **options: Any,
) -> None:  # fmt: skip
    """All gradients; the rows are dealt out in as many pieces as `parts` has rows."""
    sums = (dweight, dbias, parts)
    _backward(core, grad, x, weight, rstd, mean, dx, sums, **options)


@kernel(
    "grad T[M,N]; x T[M,N]; weight W[N]; mean R[M]; rstd R[M] "
    "-> dx T[M,N]; dweight W[N]; parts R[1,Q,N]",
    **_EXAMPLE,
)
def layer_norm_unbiased_backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, dx: Tensor,
    dweight: Tensor, parts: Tensor, **options: Any,
) -> None:  # fmt: skip
    """As `layer_norm_backward` without a bias."""
    _backward(core, grad, x, weight, rstd, mean, dx, (dweight, parts), **options)


@kernel("grad T[M,N]; x T[M,N]; mean R[M]; rstd R[M] -> dx T[M,N]", **_EXAMPLE)
def layer_norm_plain_backward(
    core: Core, grad: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, dx: Tensor, **options: Any
) -> None:
    """As `layer_norm_backward` without weight and bias."""
    _backward(core, grad, x, None, rstd, mean, dx, **options)


@kernel(
    "grad T[M,N]; x T[M,N]; weight W[N]; rstd R[M] -> dx T[M,N]; dweight W[N]; parts R[1,Q,N]",
    **_EXAMPLE,
)
def rms_norm_backward(
    core: Core, grad: Tensor, x: Tensor, weight: Tensor, rstd: Tensor, dx: Tensor,
    dweight: Tensor, parts: Tensor, **options: Any,
) -> None:  # fmt: skip
    """Gradients of RMS norm; the rows are dealt out in as many pieces as `parts` has rows."""
    _backward(core, grad, x, weight, rstd, None, dx, (dweight, parts), **options)


@kernel("grad T[M,N]; x T[M,N]; rstd R[M] -> dx T[M,N]", **_EXAMPLE)
def rms_norm_plain_backward(
    core: Core, grad: Tensor, x: Tensor, rstd: Tensor, dx: Tensor, **options: Any
) -> None:
    """As `rms_norm_backward` without a weight."""
    _backward(core, grad, x, None, rstd, None, dx, **options)
