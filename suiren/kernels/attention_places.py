"""Where attention works: heads that share keys, and which keys a block of queries sees.

Queries are [B, H, S, D], keys [B, K, L, D]; `H / K` query heads share one key head. A packed
batch has no B: its sequences lie behind each other along S and L. Causal attention lets query
`i` of a sequence see keys `0 … i`, as PyTorch's `is_causal` does: blocks before the diagonal
are whole, the few that it crosses are hidden element by element, and the rest is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.language import Core
from suiren.core.tile import KernelMistake, Tensor, View
from suiren.dtype import itemsize_bytes
from suiren.kernels.lines import block
from suiren.units import MiB

Lead = tuple[Index, ...]
#: Queries and keys of each sequence of a packed batch.
Lengths = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Place:
    """One sequence of one head: leading indices, and where its rows and keys begin and end."""

    heads: Lead
    """Leading indices of queries."""
    shared: Lead
    """Leading indices of the keys and values they see."""
    rows: int
    keys: int
    row0: int = 0
    key0: int = 0

    def head(self, number: Index) -> Place:
        """The same keys, seen by the query head `number` further on."""
        return replace(self, heads=(*self.heads[:-1], self.heads[-1] + number))

    def queries(self, tensor: Tensor, i: Range) -> View:
        """Rows `i` of a tensor like the queries: [lead, S] or [lead, S, D]."""
        return _piece(tensor, self.heads, i + self.row0)

    def values(self, tensor: Tensor, j: Range) -> View:
        """Rows `j` of a tensor like the keys and values: [lead, L, D]."""
        return _piece(tensor, self.shared, j + self.key0)

    def bias(self, tensor: Tensor, i: Range, j: Range, turned: bool = False) -> View:
        """Rows `i` and keys `j` of the scores' mask [B, H, S, L]; a size of 1 is read at 0.

        `turned` reads it keys first.
        """
        spots = (*self.heads, i, j)
        places = tuple(0 if n == 1 else at for n, at in zip(tensor.shape, spots, strict=True))
        rows = (0,) if tensor.shape[-2] > 1 else ()
        cols = (len(rows),) if tensor.shape[-1] > 1 else ()
        return tensor[places].matrix(*((cols, rows) if turned else (rows, cols)))


def bias_shape(tensor: Tensor, rows: int, keys: int) -> tuple[int, int]:
    """Shape of the tile that holds a block of the scores' mask."""
    return (1 if tensor.shape[-2] == 1 else rows, 1 if tensor.shape[-1] == 1 else keys)


def _piece(tensor: Tensor, lead: Lead, rows: Range) -> View:
    whole = (slice(None),) * (len(tensor.shape) - len(lead) - 1)
    return tensor[(*lead, rows, *whole)]


def share(places: Range, number: int, size: int) -> Range:
    """The `number`-th run of `size` positions of a block."""
    at = number * size
    return replace(places, start=places.start + at, size=size, counted=places.counted + at)


def query_tiles(
    core: Core, q: Tensor, k: Tensor, tm: int, causal: bool, lengths: Lengths | None = None,
    shared_bytes: float = 32 * MiB, **grid: Any,
) -> Iterator[tuple[Place, Range, bool]]:  # fmt: skip
    """Every block of `tm` queries of every head, and whether some keys are hidden from it.

    Where keys are hidden, heads whose keys fit `shared_bytes` are walked together, their
    longest blocks first: the short ones fill the gaps at the end. With `lengths`, sequences
    lie behind each other in [H, S, D] and [K, L, D]. `grid` has options of `Core.grid`.
    """
    batch, kv_heads, ratio = k.shape[:-3], k.shape[-3], _ratio(q.shape[-3], k.shape[-3])
    for row0, key0, rows, keys in _sequences(q, k, lengths):
        fit = shared_bytes / (2 * keys * k.shape[-1] * itemsize_bytes(k.dtype))
        for first, last, hides in _row_parts(rows, keys, tm, causal):
            near = _divisor(kv_heads, fit) if hides else 1
            extent = (last - first, tm)
            for *b, far, i, h, g in core.grid(*batch, kv_heads // near, extent, near, ratio,
                                              descending=hides, **grid):  # fmt: skip
                shared = far * near + h
                place = Place((*b, shared * ratio + g), (*b, shared), rows, keys, row0, key0)
                yield place, block(i.start + first, tm, rows), hides


def key_tiles(
    core: Core, q: Tensor, k: Tensor, tk: int, causal: bool, lengths: Lengths | None = None,
    shared_bytes: float = 32 * MiB, **grid: Any,
) -> Iterator[tuple[Place, Range]]:  # fmt: skip
    """Every block of `tk` keys of every key head; the place's queries are its first head's.

    The first keys are seen by most queries; they come first, as in `query_tiles`.
    """
    batch, kv_heads, ratio = k.shape[:-3], k.shape[-3], _ratio(q.shape[-3], k.shape[-3])
    for row0, key0, rows, keys in _sequences(q, k, lengths):
        fit = shared_bytes / (2 * ratio * rows * q.shape[-1] * itemsize_bytes(q.dtype))
        near = _divisor(kv_heads, fit) if causal else 1
        for *b, far, j, h in core.grid(*batch, kv_heads // near, (keys, tk), near, **grid):
            shared = far * near + h
            place = Place((*b, shared * ratio), (*b, shared), rows, keys, row0, key0)
            yield place, block(j.start, tk, keys)


def seen_keys(
    core: Core, place: Place, i: Range, hides: bool, tn: int
) -> Iterator[tuple[Range, bool, bool]]:
    """Blocks of keys that queries `i` see: the block, does it cross the diagonal, is it last.

    The last block stands outside of the loops, so that a kernel may work one block ahead.
    """
    last = -(-place.keys // tn) * tn - tn
    origin = Index()
    if hides:
        _aligned(i.size, tn)
        for j in core.blocks(place.keys, tn, stop=i.start):
            yield block(j.start, tn), False, False
        last, origin = i.size - tn, i.start
    if last:
        for j in core.blocks(last, tn):
            extent = place.keys if hides else None
            yield block(origin + j.start, tn, extent), hides, False
    yield block(origin + last, tn, place.keys), hides, True


def seeing_queries(
    core: Core, place: Place, j: Range, causal: bool, tq: int
) -> Iterator[tuple[Range, bool]]:
    """Blocks of queries that see keys `j`: the block, and does it cross the diagonal."""
    if not causal:
        for i in core.blocks(place.rows, tq):
            yield block(i.start, tq, place.rows), False
        return
    _aligned(j.size, tq)
    for i in core.blocks(j.size, tq):
        yield block(j.start + i.start, tq, place.rows), True
    below = j.start + j.size
    for i in core.blocks(place.rows, tq, stop=-below + place.rows):
        yield block(below + i.start, tq, place.rows), False


def _row_parts(rows: int, keys: int, tm: int, causal: bool) -> Iterator[tuple[int, int, bool]]:
    """Runs of queries (first, last, some keys are hidden); those past the keys see them all."""
    if not causal:
        yield 0, rows, False
        return
    bound = min(rows, -(-(keys - 1) // tm) * tm)
    if bound:
        yield 0, bound, True
    if bound < rows:
        yield bound, rows, False


def _sequences(
    q: Tensor, k: Tensor, lengths: Lengths | None
) -> Iterator[tuple[int, int, int, int]]:
    """Where each sequence's queries and keys begin, and how many there are."""
    lengths = lengths or ((q.shape[-2], k.shape[-2]),)
    rows, keys = (sum(length[side] for length in lengths) for side in (0, 1))
    if (rows, keys) != (q.shape[-2], k.shape[-2]):
        raise KernelMistake(f"the lengths add up to {rows} queries and {keys} keys, but there are "
                            f"{q.shape[-2]} and {k.shape[-2]}")  # fmt: skip
    row0 = key0 = 0
    for rows, keys in lengths:
        if rows < 1 or keys < 1:
            raise KernelMistake(f"a sequence of {rows} queries and {keys} keys: leave it out")
        yield row0, key0, rows, keys
        row0, key0 = row0 + rows, key0 + keys


def _ratio(heads: int, kv_heads: int) -> int:
    if heads % kv_heads:
        raise KernelMistake(f"{heads} query heads cannot share {kv_heads} key heads evenly")
    return heads // kv_heads


def _divisor(number: int, most: float) -> int:
    """The largest divisor that is not above `most`; 1 at least."""
    return max(d for d in range(1, number + 1) if number % d == 0 and (d == 1 or d <= most))


def _aligned(outer: int, inner: int) -> None:
    if outer % inner:
        raise KernelMistake(f"causal attention needs a tile of {outer} to be a whole number of "
                            f"blocks of {inner}")  # fmt: skip
