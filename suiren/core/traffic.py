"""Bytes that a grid of tiles moves: into the cores, out of the shared level, out of device memory.

Cores that read the same piece at the same time fetch it from device memory once. A piece that
is swept again is fetched again as far as what lies between the two sweeps does not fit the
shared level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, inf, prod, sqrt

from suiren.core.index import Index, Range
from suiren.core.program import Grid, Step
from suiren.core.tile import Tile, View
from suiren.dtype import moved_bytes
from suiren.hw.spec import Card


@dataclass(frozen=True, slots=True)
class Moved:
    """One load or store of a grid."""

    step: Step
    bytes: float
    """Of one execution, on an inner tile."""
    valid_bytes: float
    """Of all tiles and executions, edges counted as they are."""
    unique_bytes: float
    """Bytes of the tensor that are touched at all."""
    depends: frozenset[int]
    """Numbers of the loops its piece depends on."""
    add: bool
    multicast: bool
    where: tuple[object, ...]
    """Which part of the tensor it is, apart from the loops: pieces that differ are not the same."""
    run_bytes: float = 0.0
    """Bytes that lie side by side in memory, of one execution."""
    turns: Mapping[int, int] = field(default_factory=dict)
    """How often each loop runs that its piece depends on, the grid's axes left out."""

    @property
    def is_store(self) -> bool:
        """True for a store, False for a load."""
        return self.step.name == "store"

    @property
    def name(self) -> str:
        """Name of the tensor in device memory."""
        assert self.step.view is not None
        return self.step.view.tensor.stored.name


def moved(step: Step, executions: float, turns: Mapping[int, int], grid: Grid) -> Moved:
    """What a load or store moves; `executions` are those of one tile.

    `turns` tells how often each loop inside the grid runs at most, by its number.
    """
    view = step.view
    assert view is not None
    counts = {**turns, **dict(zip(grid.numbers, grid.trips, strict=True))}
    axes = set(grid.numbers)
    elements, share, unique = 1, 1.0, 1.0
    depends: set[int] = set()
    for place, length in zip(view.places, view.tensor.shape, strict=True):
        if isinstance(place, Tile):
            elements *= place.numel
            unique *= min(length, place.numel * grid.tiles)
            depends |= axes
            continue
        if isinstance(place, Index):
            start, clipped = place, 1
        else:
            start, clipped = place.start, min(place.size, length)
            if place.extent is not None and place.has_edge:
                share *= _inside(place, place.extent, clipped, counts)
        elements *= clipped
        reach = clipped
        for loop in start.loops():
            depends.add(loop)
            reach *= counts.get(loop, 1)
        unique *= min(length, reach)
    size = moved_bytes(view.tensor.dtype)
    packed = step.attributes.get("compressed", 1.0)
    size *= packed if isinstance(packed, float) else 1.0
    if depends & axes:  # a part of the grid touches its part of the tensor
        unique = max(unique * grid.tiles / (prod(grid.trips) or 1), min(unique, elements))
    return Moved(
        step, elements * size if share else 0,
        elements * size * share * executions * grid.tiles, unique * size,
        frozenset(depends), bool(step.attributes.get("add")), "multicast" in step.attributes,
        _where(view),
        _run(view) * size, {n: counts[n] for n in depends if n in turns},
    )  # fmt: skip


def _inside(place: Range, extent: int, size: int, counts: Mapping[int, int]) -> float:
    """Share of a range's positions that lie before `extent`, over all turns of its loops."""
    left, terms = extent - place.counted.const, place.counted.terms
    if len(terms) != 1:
        turns = 1
        for loop, _ in terms:
            turns *= counts.get(loop, 1)
        return min(1.0, max(0.0, left / (turns * size)))
    ((loop, step),) = terms
    turns = counts.get(loop, 1)
    whole = min(turns, max(0, (left - size) // step + 1))
    rest = min(size, max(0, left - whole * step)) if whole < turns else 0
    return (whole * size + rest) / (turns * size)


def _run(view: View) -> int:
    """Neighbours in memory that a piece takes: its extent along the innermost dimension."""
    rank = len(view.places)
    if not rank:  # a single number
        return 1
    inner = view.tensor.order.index(rank - 1) if view.tensor.order else rank - 1
    place = view.places[inner]
    if not isinstance(place, Range) or place.stride != 1:
        return 1
    return min(place.size, view.tensor.shape[inner])


def _where(view: View) -> tuple[object, ...]:
    found: list[object] = []
    for place in view.places:
        start = place.start if isinstance(place, Range) else place
        found.append(start.const if isinstance(start, Index) else id(start))
    return tuple(found)


def survives(demand_bytes: float, card: Card) -> float:
    """Share of data that is still in the shared level after `demand_bytes` went through it."""
    holds = card.l2_bytes * card.pace.l2_share
    if not holds:
        return 0.0
    return float(min(1.0, max(0.0, 1 - (demand_bytes / holds - 1) / card.pace.l2_softness)))


def covered(grid: Grid, together: int) -> dict[int, int]:
    """How many positions of each axis `together` tiles cover, by loop number."""
    together = min(together, grid.tiles)
    found: dict[int, int] = {}
    axes = list(zip(grid.numbers, grid.trips, strict=True))
    if grid.square and len(axes) >= 2:
        (rows, num_rows), (cols, num_cols) = axes[-2], axes[-1]
        height = min(num_rows, max(1.0, sqrt(together)))
        width = min(num_cols, max(1.0, together / height))
        height = min(num_rows, max(1.0, together / width))
        found[rows], found[cols] = ceil(height), ceil(width)
        together = max(1, together // (num_rows * num_cols))
        axes = axes[:-2]
    for number, trips in reversed(axes):
        found[number] = min(trips, together)
        together = ceil(together / trips)
    return found


def fetched(pieces: list[Moved], grid: Grid, together: int, warm: Mapping[str, float],
            card: Card) -> dict[int, float]:  # fmt: skip
    """Bytes of each load and store that pass device memory, by `id` of its step.

    `together` tiles are at work at once; `warm` is the share of a tensor that lies in the
    shared level beforehand.
    """
    loads = [p for p in pieces if not p.is_store]
    touched = sum(p.unique_bytes for p in pieces)
    best: dict[int, float] = {}
    if survives(2 * touched, card) >= 1.0:  # nothing is ever fetched again
        read: set[tuple[object, ...]] = set()
        for piece in loads:
            key = (piece.name, piece.where, piece.depends & set(grid.numbers))
            cold = 0.0 if key in read else 1 - warm.get(piece.name, 0.0)
            best[id(piece.step)] = min(piece.unique_bytes * cold, piece.valid_bytes)
            read.add(key)
    else:
        least = inf
        wave = _Wave.of(pieces, grid, together)
        for order in _walks(grid):
            now = _walked(loads, wave, grid, order, warm, card)
            if sum(now.values()) < least:
                best, least = now, sum(now.values())
    for piece in pieces:
        if piece.is_store:
            best[id(piece.step)] = piece.unique_bytes * (1 - survives(touched, card))
    return best


def _walks(grid: Grid) -> list[tuple[int, ...]]:
    """Orders of the axes, slowest first, in which the tiles may be dealt."""
    numbers = grid.numbers
    if grid.square and len(numbers) >= 2:
        return [numbers, (*numbers[:-2], numbers[-1], numbers[-2])]
    return [numbers]


@dataclass(frozen=True, slots=True)
class _Wave:
    """The tiles at work together: positions they cover of each axis, and what they touch."""

    cover: Mapping[int, int]
    trips: Mapping[int, int]
    share: Mapping[int, float]
    """Of each axis."""
    bytes: float

    @classmethod
    def of(cls, pieces: list[Moved], grid: Grid, together: int) -> _Wave:
        cover = covered(grid, together)
        trips = dict(zip(grid.numbers, grid.trips, strict=True))
        share = {a: min(1.0, cover[a] / trips[a]) for a in grid.numbers}
        wave = 0.0
        for piece in {(p.name, p.where, p.depends): p for p in reversed(pieces)}.values():
            part = prod(share[a] for a in grid.numbers if a in piece.depends)
            wave += piece.unique_bytes * part
        return cls(cover, trips, share, wave)


def _walked(
    loads: list[Moved], together: _Wave, grid: Grid, order: tuple[int, ...],
    warm: Mapping[str, float], card: Card,
) -> dict[int, float]:  # fmt: skip
    cover, trips, share, wave = together.cover, together.trips, together.share, together.bytes
    found: dict[int, float] = {}
    read: dict[tuple[object, ...], Moved] = {}
    for piece in loads:
        cold = 1 - warm.get(piece.name, 0.0)
        key = (piece.name, piece.where, frozenset(piece.depends & trips.keys()))
        first = read.setdefault(key, piece)
        if first is not piece:  # the tile has read it before, in the same turn of shared loops
            shared = prod(n for at, n in piece.turns.items() if at in first.turns)
            cold *= 1 - survives(wave / shared, card)
        times = cold
        sweeps = 1.0
        for at, axis in enumerate(order):
            again = ceil(trips[axis] / cover[axis])
            if axis in piece.depends or again <= 1:
                continue
            # between two visits all that the faster axes reach went through the shared level
            inner = prod(1 / share[a] for a in order[at + 1 :] if a in piece.depends)
            part = prod(share[a] for a in grid.numbers if a in piece.depends)
            between = wave + piece.unique_bytes * part * (inner if inner > 1 else 0.0)
            times += sweeps * (again - 1) * (1 - survives(between, card))
            sweeps *= again
        found[id(piece.step)] = min(piece.unique_bytes * times, piece.valid_bytes)
    return found
