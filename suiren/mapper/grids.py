"""What one tile of a product's grid moves, for all candidates at once.

The same arithmetic as `core.traffic` and `core.timing.Flows`, in the same order, on columns: a
tile of `c` (or of the partial sums) needs its rows of `a` and its columns of `b`. A law holds the
two together to the last picosecond (tests/laws/test_column_laws.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from suiren.core.timing import LONG_RUN_BYTES
from suiren.dtype import moved_bytes
from suiren.hw.spec import Card
from suiren.mapper.candidate import Candidates, Floats, Ints, Shape, ceil_div
from suiren.mapper.estimate import survive


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A load or store of every candidate's tiles; bytes."""

    each: Floats
    """Of one execution on an inner tile."""
    valid: Floats
    """Of all tiles and executions, edges counted as they are."""
    unique: Floats
    """Of the tensor that are touched at all."""
    run: Floats
    """Side by side in memory."""
    executions: Floats
    """In one tile, on average."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Bytes of one tile, of all its loads or all its stores; see `core.timing`."""

    core: Floats
    l2: Floats
    memory: Floats
    printed: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A grid of every candidate: how many tiles, what they move."""

    tiles: Ints
    slots: Ints
    """Tiles at work at once."""
    pieces: Mapping[str, Piece]
    """By tensor."""
    loads: Flow
    stores: Flow
    miss: Mapping[str, Floats]
    """Share of each load that comes from device memory."""


def inside(extent: int, step: Ints, trips: Ints) -> Floats:
    """Share of a loop's positions that lie before its extent."""
    size = np.minimum(step, extent)
    whole = np.minimum(trips, np.maximum(0, (extent - size) // step + 1))
    rest = np.where(whole < trips, np.minimum(size, np.maximum(0, extent - whole * step)), 0)
    return np.where(extent % step != 0, (whole * size + rest) / (trips * size), 1.0)


def product_grid(
    shape: Shape, card: Card, ways: Candidates, trips: Floats, warm: Mapping[str, float]
) -> Grid:
    """The grid that multiplies; `trips` are the blocks of k in a tile, on average."""
    m, n, k = shape.m, shape.n, shape.k
    down, across, lead = ceil_div(m, ways.tm), ceil_div(n, ways.tn), ways.splits * shape.batch
    tiles = lead * down * across
    item, split = moved_bytes(shape.dtype), ways.splits > 1
    out = np.where(split, 4, moved_bytes(shape.out))
    rows, cols, deep = np.minimum(ways.tm, m), np.minimum(ways.tn, n), np.minimum(ways.tk, k)
    in_m, in_n = inside(m, ways.tm, down), inside(n, ways.tn, across)
    in_k = np.where(split, 1.0, inside(k, ways.tk, ways.steps))
    g, once = shape.batch, np.ones(len(ways))
    stored = np.where(split, ways.splits, g)

    def piece(elements: Ints, size: Floats | float, share: Floats, unique: Floats, run: Ints,
              times: Floats) -> Piece:  # fmt: skip
        each = elements * size
        touched = np.maximum(unique * tiles / tiles, np.minimum(unique, elements)) * size
        return Piece(each * once, each * share * times * tiles, touched, run * size * once, times)

    pieces = {
        "a": piece(rows * deep, item, in_m * in_k, once * g * m * k, deep, trips),
        "b": piece(deep * cols, item, in_k * in_n, once * g * k * n, cols, trips),
        "c": piece(rows * cols, out, in_m * in_n, once * stored * m * n, cols, once),
    }
    slots = int(card.cores) * ways.resident
    wave = _Wave.of(pieces, lead, down, across, np.minimum(slots, tiles))
    passing = _fetched(pieces, wave, warm, card)
    wide = np.where(split | (card.pace.multicast <= 1), 1.0, float(card.pace.multicast))
    return _grid(tiles, slots, pieces, passing, card, wide)


def sum_grid(
    shape: Shape, card: Card, ways: Candidates, slab: Ints, near: Floats
) -> Grid:
    """The grid that adds the parts of a split product; `near`: their share in the shared level."""
    m, n, out = shape.m, shape.n, moved_bytes(shape.out)
    down, across, once = ceil_div(m, slab), ceil_div(n, ways.tn), np.ones(len(ways))
    tiles, times = down * across, ways.splits * once
    rows, cols = np.minimum(slab, m), np.minimum(ways.tn, n)
    share = inside(m, slab, down) * inside(n, ways.tn, across)

    def piece(size: float, parts: Floats, times: Floats) -> Piece:
        each = rows * cols * size
        unique = parts * m * n
        touched = np.maximum(unique * tiles / tiles, np.minimum(unique, rows * cols)) * size
        return Piece(each * once, each * share * times * tiles, touched, cols * size * once, times)

    pieces = {"part": piece(4, times, times), "c": piece(out, once, once)}
    part, c = pieces["part"], pieces["c"]
    touched = part.unique + c.unique
    passing = {"part": np.minimum(part.unique * (1 - near), part.valid),
               "c": c.unique * (1 - survive(touched, card))}  # fmt: skip
    return _grid(tiles, int(card.cores) * np.ones_like(tiles), pieces, passing, card, once)


def _grid(
    tiles: Ints, slots: Ints, pieces: Mapping[str, Piece], passing: Mapping[str, Floats],
    card: Card, wide: Floats,
) -> Grid:  # fmt: skip
    zero = np.zeros(len(tiles))
    flows = {True: (zero,) * 4, False: (zero,) * 4}
    miss = {}
    for name, piece in pieces.items():
        is_store = name == "c"
        amount, memory = piece.valid / tiles, passing[name] / tiles
        long = piece.run >= LONG_RUN_BYTES
        rate = np.where(long, float(card.pace.stream_efficiency), float(card.memory_efficiency))
        core, l2, moved, printed = flows[is_store]
        flows[is_store] = (core + amount, l2 + (amount if is_store else amount / wide),
                           moved + memory, printed + memory / rate)  # fmt: skip
        if not is_store:
            miss[name] = np.minimum(1.0, memory / amount)
    return Grid(tiles, slots, pieces, Flow(*flows[False]), Flow(*flows[True]), miss)


@dataclass(frozen=True, slots=True, eq=False)
class _Wave:
    """The tiles at work together: of down and across, how often more follow, and their share."""

    again_down: Floats
    again_across: Floats
    share_lead: Floats
    share_down: Floats
    share_across: Floats
    bytes: Floats

    @classmethod
    def of(
        cls, pieces: Mapping[str, Piece], lead: Ints, down: Ints, across: Ints, together: Ints
    ) -> _Wave:
        height = np.minimum(down, np.maximum(1.0, np.sqrt(together)))
        width = np.minimum(across, np.maximum(1.0, together / height))
        height = np.minimum(down, np.maximum(1.0, together / width))
        high, wide = np.ceil(height), np.ceil(width)
        others = np.minimum(lead, np.maximum(1, together // (down * across)))
        of_lead = np.minimum(1.0, others / lead)
        of_down, of_across = np.minimum(1.0, high / down), np.minimum(1.0, wide / across)
        touched = 0.0 + pieces["c"].unique * (of_lead * of_down * of_across)
        touched = touched + pieces["b"].unique * (of_lead * of_across)
        touched = touched + pieces["a"].unique * (of_lead * of_down)
        return cls(np.ceil(down / high), np.ceil(across / wide), of_lead, of_down, of_across,
                   touched)  # fmt: skip


def _fetched(
    pieces: Mapping[str, Piece], wave: _Wave, warm: Mapping[str, float], card: Card
) -> dict[str, Floats]:
    """Bytes of each piece that pass device memory: `core.traffic.fetched`."""
    a, b, c = pieces["a"], pieces["b"], pieces["c"]
    touched = a.unique + b.unique + c.unique
    cold_a, cold_b = 1 - warm.get("a", 0.0), 1 - warm.get("b", 0.0)
    part_a, part_b = wave.share_lead * wave.share_down, wave.share_lead * wave.share_across

    def swept(one: Piece, cold: float, again: Floats, part: Floats, inner: Floats | None) -> Floats:
        beyond = 0.0 if inner is None else np.where(inner > 1, inner, 0.0)
        between = wave.bytes + one.unique * part * beyond
        times = np.where(again > 1, cold + (again - 1) * (1 - survive(between, card)), cold)
        return np.minimum(one.unique * times, one.valid)

    rows_first = (swept(a, cold_a, wave.again_across, part_a, None),
                  swept(b, cold_b, wave.again_down, part_b, 1 / wave.share_across))  # fmt: skip
    cols_first = (swept(a, cold_a, wave.again_across, part_a, 1 / wave.share_down),
                  swept(b, cold_b, wave.again_down, part_b, None))  # fmt: skip
    swap = cols_first[0] + cols_first[1] < rows_first[0] + rows_first[1]
    once = survive(2 * touched, card) >= 1.0  # nothing is ever fetched again
    return {
        "a": np.where(once, np.minimum(a.unique * cold_a, a.valid),
                      np.where(swap, cols_first[0], rows_first[0])),
        "b": np.where(once, np.minimum(b.unique * cold_b, b.valid),
                      np.where(swap, cols_first[1], rows_first[1])),
        "c": c.unique * (1 - survive(touched, card)),
    }  # fmt: skip
