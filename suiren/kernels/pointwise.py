"""Elementwise kernels: any chain of instructions, over tensors that broadcast.

`pointwise("x T[M,N]; bias T[N] -> y T[M,N]", "y = maximum(x + bias, 0)")` is one pass over
memory, however long the chain: load the tiles, run the chain in registers, store the results.
`op("gelu", "N")` does so for a named operation of `operations.py`, and `merged` finds the
fewest dimensions that the shapes of a broadcast need.

The results' dimensions are tiled from the innermost outwards, so that copies move whole rows.
A tensor may lack dimensions (it is broadcast) or have them in another order. A result that
the chain reads before making it is updated in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from suiren.core.kernel import Kernel
from suiren.core.language import Core, Source
from suiren.core.signature import Signature
from suiren.core.tile import Tensor
from suiren.dtype import itemsize_bytes
from suiren.kernels.chain import Chain
from suiren.kernels.operations import OPERATIONS
from suiren.kernels.tiling import (
    POSITION,
    compute_format,
    piece,
    positions,
    run,
    steps_of,
    tile_shape,
)
from suiren.units import KiB

_LETTERS = "ABCDEFGH"
#: Scratchpad that a tile of every tensor may take together if no tile size is given.
_SPACE_BYTES = 48 * KiB


def pointwise(
    signature: str, chain: str | Chain, name: str = "pointwise", **scalars: float
) -> Kernel:
    """A kernel that runs a chain over tensors; `scalars` are options with their usual values.

    Options: `tile` elements a tile (by the number of tensors if 0), `stages` of loads,
    `compute` format, the scalars, and `resident` and `fresh` of the grid.
    """
    parsed = Signature.parse(signature)
    lines = chain if isinstance(chain, Chain) else Chain.parse(chain)
    reads = lines.reads()
    results = [p.name for p in parsed.outputs]
    names = {p.name: p.sizes for p in parsed.parameters}
    whole = max((names[r] for r in results), key=len)

    def elementwise(
        core: Core, *given: Tensor, tile: int = 0, stages: int = 2, compute: str = "",
        resident: int = 1, fresh: bool = False, **options: float,
    ) -> None:  # fmt: skip
        tensors = dict(zip(names, given, strict=True))
        (full, *_) = [t for n, t in tensors.items() if names[n] == whole]
        sizes = dict(zip(whole, full.shape, strict=True))
        steps = dict(
            zip(
                sizes,
                steps_of(
                    full.shape,
                    tile
                    or _fitting([t.dtype for n, t in tensors.items() if names[n] == whole], stages),
                ),
                strict=True,
            )
        )
        dtype = compute or compute_format(*(t.dtype for t in given))
        read, made = (
            {n: core.scratchpad(tile_shape(names[n], steps), tensors[n].dtype, buffers)
             for n in wanted if n in tensors}
            for wanted, buffers in ((reads, stages), (results, 2))
        )  # fmt: skip
        axes = ((sizes[d], steps[d]) for d in sizes)
        for places in core.grid(*axes, resident=resident, fresh=fresh):
            ranges = dict(zip(sizes, places if len(sizes) > 1 else [places], strict=True))
            for n, buffer in read.items():
                core.load(buffer, piece(tensors[n], names[n], ranges))
            core.wait(*read.values())
            values: dict[str, Source] = {**scalars, **options, **read}
            for word in reads:
                if word.startswith(POSITION) and word not in values:
                    values[word] = positions(core, word, ranges, sizes)
            core.acquire(*made.values())
            run(core, lines, values, made, dtype)
            core.release(*read.values())
            for n, buffer in made.items():
                core.store(piece(tensors[n], names[n], ranges), buffer)

    elementwise.__name__ = name
    return Kernel(elementwise, parsed, {})


def _fitting(dtypes: Sequence[str], stages: int) -> int:
    """A power of two of elements, for which every tensor has its buffers."""
    bytes_each = sum(itemsize_bytes(d) * max(2, stages) for d in dtypes)
    return min(4096, 1 << (_SPACE_BYTES // bytes_each).bit_length() - 1)


def op(name: str, *dims: str, formats: Mapping[str, str] | None = None) -> Kernel:
    """The kernel of a named operation; `dims` are those of its tensors, as `"M,N"`, `"N"`.

    The last entry stands for all further tensors. Results have the dimensions of the longest
    entry; one entry more than tensors may say them.
    `formats` gives the format of tensors by name where it is not the usual one.
    """
    operation = OPERATIONS[name]
    entries = [*dims, *dims[-1:] * len(operation.tensors)][: len(operation.tensors)]
    whole = max(dims, key=lambda text: text.count(","))
    own = formats or {}
    takes = "; ".join(f"{n} {own.get(n, f)}[{d}]"
                      for (n, f), d in zip(operation.tensors, entries, strict=True))  # fmt: skip
    makes = "; ".join(f"{n} {own.get(n, f)}[{whole}]" for n, f in operation.results)
    return pointwise(f"{takes} -> {makes}", operation.chain, name, **dict(operation.scalars))


def merged(shapes: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Dimensions by name of every shape of a broadcast, and their sizes, as few as possible.

    Neighbouring dimensions that every contiguous tensor has, or lacks, are one.
    """
    rank = max(len(s) for s in shapes)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    groups: list[tuple[tuple[bool, ...], list[int]]] = []
    for sizes in zip(*padded, strict=True):
        size = max(sizes)
        if size == 1:
            continue
        has = tuple(s == size for s in sizes)
        if groups and groups[-1][0] == has:
            groups[-1][1].append(size)
        else:
            groups.append((has, [size]))
    groups = groups or [((True,) * len(shapes), [1])]
    letters = _LETTERS[: len(groups)]
    names = tuple(
        ",".join(d for d, (has, _) in zip(letters, groups, strict=True) if has[number]) or "1"
        for number in range(len(shapes))
    )
    return names, {d: prod(sizes) for d, (_, sizes) in zip(letters, groups, strict=True)}
