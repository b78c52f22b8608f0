"""Reductions: a chain, a fold over dimensions, another chain; one pass over memory.

`reduction("x T[M,N] -> y T[M]", "sum")` folds the dimensions that the result lacks, whichever
they are. The tile program keeps an accumulator of the size of a loaded tile, folds tiles into
it element by element, and folds the accumulator itself once at the end. Few results keep few
cores busy, so the two-phase form (`-> y T[M]; part f32[S,M]`) first folds S pieces of a folded
dimension each on its own and, behind a barrier, the pieces.

Single results that are not folds (`argmax`, variance) and scans have files of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.kernel import Kernel
from suiren.core.language import Core
from suiren.core.signature import Signature
from suiren.core.tile import Tensor, Tile
from suiren.kernels.chain import Chain
from suiren.kernels.folding import combine, fold_axis, neutral, piece_blocks
from suiren.kernels.tiling import compute_format, piece, run, steps_of, tile_shape

#: By name: the fold, the chain before it (`x` to `v`), and the one after it (`v` to `y`).
#: `count` is the number of elements folded into each result.
FOLDS: Mapping[str, tuple[str, str, str]] = {
    "sum": ("sum", "", ""),
    "mean": ("sum", "", "y = v / count"),
    "max": ("max", "", ""),
    "min": ("min", "", ""),
    "prod": ("prod", "", ""),
    "any": ("max", "v = x != 0", ""),
    "all": ("min", "v = x != 0", ""),
    "norm1": ("sum", "v = abs(x)", ""),
    "norm2": ("sum", "v = x * x", "y = sqrt(v)"),
    "norm_max": ("max", "v = abs(x)", ""),
    "square_sum": ("sum", "v = x * x", ""),
    "count_nonzero": ("sum", "v = x != 0", ""),
}


@dataclass(frozen=True, slots=True)
class _Fold:
    """One phase: what is loaded, how it is tiled, what is done with it."""

    inputs: dict[str, tuple[Tensor, tuple[str, ...]]]
    """Tensors by name, with the names of their dimensions."""
    sizes: dict[str, int]
    steps: dict[str, int]
    kept: tuple[str, ...]
    kind: str
    before: Chain | None
    after: Chain | None
    dtype: str
    count: int
    stages: int
    deal: dict[str, Any]
    """Options of the grid."""

    @property
    def folded(self) -> tuple[str, ...]:
        return tuple(d for d in self.sizes if d not in self.kept)

    def blocks(self, dim: str) -> int:
        return -(-self.sizes[dim] // self.steps[dim])


def reduction(
    signature: str, fold: str, before: str = "", after: str = "", name: str = ""
) -> Kernel:
    """A kernel that folds what the chain `before` makes of its inputs, `v`; `after` makes `y`.

    `fold` is one of FOLDS, or with chains of its own sum, prod, max or min. Options: `tile`
    elements a tile, `widest` last dimension of a tile if it is kept, `steps` (tile sizes by
    dimension) instead of both, `stages` of loads, and those of a grid.
    """
    kind, first, last = (fold, before, after) if before or after else FOLDS[fold]
    parsed = Signature.parse(signature)
    names = {p.name: p.sizes for p in parsed.parameters}
    inputs = [p.name for p in parsed.inputs]
    result, *parts = (p.name for p in parsed.outputs)
    whole = max((names[n] for n in inputs), key=len)
    kept = tuple(d for d in whole if d in names[result])
    before_chain = Chain.parse(first) if first else None

    def reduce(
        core: Core, *given: Tensor, tile: int = 4096, widest: int = 256, stages: int = 2,
        steps: Mapping[str, int] | None = None, **deal: Any,
    ) -> None:  # fmt: skip
        tensors = dict(zip(names, given, strict=True))
        shape = next(tensors[n].shape for n in inputs if names[n] == whole)
        sizes = dict(zip(whole, shape, strict=True))
        best = steps_of(shape, tile, widest if whole[-1] in kept else None)
        chosen = {**dict(zip(whole, best, strict=True)), **(steps or {})}
        phase = _Fold(
            {n: (tensors[n], names[n]) for n in inputs}, sizes, chosen, kept, kind, before_chain,
            Chain.parse(last or "y = v"), compute_format(*(tensors[n].dtype for n in inputs)),
            prod(sizes[d] for d in whole if d not in kept), stages, deal,
        )  # fmt: skip
        if not parts:
            _fold(core, phase, (tensors[result], names[result]))
            return
        part, over = tensors[parts[0]], names[parts[0]]
        _fold(core, replace(phase, after=None), (part, over), pieces=over[0])
        core.barrier()
        best = steps_of(part.shape, tile, widest if len(over) > 1 else None)
        sizes, chosen = (dict(zip(over, s, strict=True)) for s in (part.shape, best))
        second = replace(phase, inputs={"v": (part, over)}, before=None, sizes=sizes, steps=chosen)
        _fold(core, second, (tensors[result], names[result]))

    reduce.__name__ = name or f"reduce_{fold}"
    return Kernel(reduce, parsed, {})


def _fold(
    core: Core, phase: _Fold, result: tuple[Tensor, tuple[str, ...]], pieces: str = ""
) -> None:
    """Folds all tiles of a phase; with `pieces`, one result for each piece of a dimension."""
    steps, kept = phase.steps, phase.kept
    count = result[0].shape[result[1].index(pieces)] if pieces else 1
    alone = count == 1 and all(phase.blocks(d) == 1 for d in phase.folded)
    buffers = {n: core.scratchpad(tile_shape(names, steps), t.dtype, phase.stages)
               for n, (t, names) in phase.inputs.items()}  # fmt: skip
    acc = None if alone else core.registers(tuple(steps.values()), phase.dtype)
    out = core.scratchpad(tile_shape(kept, steps), result[0].dtype, 2)
    axes: list[tuple[int, int] | int] = [(phase.sizes[d], steps[d]) for d in kept]
    for places in core.grid(*axes, *([count] if pieces else []), **phase.deal):
        entries = places if len(axes) + bool(pieces) != 1 else (places,)
        ranges = dict(zip(kept, entries, strict=False))
        at = {pieces: entries[-1]} if pieces else {}
        if acc is not None:
            core.fill(acc, neutral(phase.kind, phase.dtype))
        for inner in _inner(core, phase, ranges, list(phase.folded), count, at.get(pieces)):
            value = _value(core, phase, buffers, inner)
            if acc is None:
                total = _fold_axes(core, phase, value)
            else:
                combine(core, phase.kind, acc, value)
            core.release(*buffers.values())
        if acc is not None:
            total = _fold_axes(core, phase, acc)
        core.acquire(out)
        run(core, phase.after or Chain.parse("y = v"), {"v": total, "count": phase.count},
            {"y": out}, phase.dtype)  # fmt: skip
        spread = {d: ranges.get(d, Range(Index(0), 1)) for d in phase.sizes}
        core.store(piece(*result, spread, at), out)


def _inner(
    core: Core, phase: _Fold, ranges: dict[str, Range], dims: Sequence[str], count: int,
    number: Index | None,
) -> Iterator[dict[str, Range]]:  # fmt: skip
    """Loops over the folded dimensions; the one with most blocks is cut into pieces."""
    if not dims:
        yield {d: ranges[d] for d in phase.sizes}
        return
    dim, *rest = dims
    size, step = phase.sizes[dim], phase.steps[dim]
    if number is None or dim != max(phase.folded, key=phase.blocks):
        for place in core.blocks(size, step):
            yield from _inner(core, phase, {**ranges, dim: place}, rest, count, number)
        return
    for place in piece_blocks(core, size, step, count, number):
        yield from _inner(core, phase, {**ranges, dim: place}, rest, count, number)


def _value(
    core: Core, phase: _Fold, buffers: Mapping[str, Tile], ranges: Mapping[str, Range]
) -> Tile:
    """Loads a tile and runs the chain; what lies beyond the folded dimensions is neutral."""
    for name, (tensor, names) in phase.inputs.items():
        pad = neutral(phase.kind, tensor.dtype) if phase.before is None else 0.0
        core.load(buffers[name], piece(tensor, names, ranges), pad=pad)
    core.wait(*buffers.values())
    if phase.before is None:
        return next(iter(buffers.values()))
    value = core.registers(tuple(phase.steps.values()), phase.dtype)
    run(core, phase.before, buffers, {"v": value}, phase.dtype)
    for axis, dim in enumerate(phase.sizes):
        if dim in phase.folded:
            core.edge(value, ranges[dim], neutral(phase.kind, phase.dtype), axis=axis)
    return value


def _fold_axes(core: Core, phase: _Fold, tile: Tile) -> Tile:
    """Folds a tile along its folded axes, rows first; what comes out is in registers."""
    held = tile
    for axis, dim in reversed(list(enumerate(phase.sizes))):
        if dim in phase.folded and tile.shape[axis] > 1:
            tile = fold_axis(core, phase.kind, tile, axis, phase.dtype)
    if tile is not held:
        return tile
    copy = core.registers(tile.shape, phase.dtype)
    core.cast(copy, tile)
    return copy
