"""Bytes that a grid of tiles moves: into the cores, out of the shared level, out of device memory.

Cores that read the same piece at the same time fetch it from device memory once. A piece is
fetched again only if it is swept again and what lies between the two sweeps does not fit the
shared level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from suiren.core.index import Index, Range
from suiren.core.program import Grid, Loop, Step
from suiren.core.tile import Tile, View
from suiren.dtype import itemsize_bytes


@dataclass(frozen=True, slots=True)
class Moved:
    """One load or store of a grid. Bytes and executions are those of one tile of the grid."""

    step: Step
    executions: float
    bytes: int
    """Of one execution, on an inner tile."""
    valid_bytes: float
    """Of all tiles and executions, edges counted as they are."""
    unique_bytes: float
    """Bytes of the tensor that are touched at all."""
    depends: frozenset[int]
    """Numbers of the loops its piece depends on."""
    add: bool
    multicast: int | None


def moved(step: Step, executions: float, tiles: int, loops: dict[int, Loop], grid: Grid) -> Moved:
    """What a load or store moves."""
    view = step.view
    assert view is not None
    size = itemsize_bytes(view.tensor.dtype)
    elements, share, unique = 1, 1.0, 1.0
    counts = {**{n: loop.trips({}) if loop.stop is None else -(-loop.extent // loop.step)
                 for n, loop in loops.items()}, **dict(zip(grid.numbers, grid.trips, strict=True))}  # fmt: skip
    depends: set[int] = set()
    for place, length in zip(view.places, view.tensor.shape, strict=True):
        if isinstance(place, Tile):
            elements *= place.numel
            unique *= min(length, place.numel * tiles)
            continue
        start = place.start if isinstance(place, Range) else place
        depends |= start.loops()
        run = place.size if isinstance(place, Range) else 1
        clipped = min(run, length)
        elements *= clipped
        reach = clipped
        for loop in start.loops():
            reach *= counts.get(loop, 1)
        unique *= min(length, reach)
        if isinstance(place, Range) and place.extent is not None and place.has_edge:
            own = place.counted.loops()
            turns = 1
            for loop in own:
                turns *= counts.get(loop, 1)
            share *= min(1.0, place.extent / (turns * clipped))
    multicast = step.attributes.get("multicast")
    return Moved(
        step, executions, elements * size, elements * size * share * executions * tiles,
        unique * size, frozenset(depends), bool(step.attributes.get("add")),
        multicast if isinstance(multicast, int) else None,
    )  # fmt: skip


def contiguous_bytes(view: View) -> int:
    """Length of the runs in which the view lies in memory."""
    tensor = view.tensor
    order = tensor.order or tuple(range(len(tensor.shape)))
    run = itemsize_bytes(tensor.dtype)
    for d in sorted(range(len(order)), key=lambda d: order[d], reverse=True):
        place, length = view.places[d], tensor.shape[d]
        if isinstance(place, (Tile, Index)):
            break
        if place.stride != 1:
            break
        run *= min(place.size, length)
        if place.size < length:
            break
    return run


def covered(grid: Grid, cores: int) -> dict[int, int]:
    """How many positions of each axis the tiles of one wave cover, by loop number."""
    together = min(cores, grid.tiles)
    found: dict[int, int] = {}
    axes = list(zip(grid.numbers, grid.trips, strict=True))
    if grid.bundle > 1 and len(axes) >= 2:
        (rows, num_rows), (cols, num_cols) = axes[-2], axes[-1]
        height = min(grid.bundle, num_rows)
        width = min(num_cols, ceil(together / height))
        bands = min(ceil(num_rows / height), ceil(together / (height * num_cols)))
        found[rows], found[cols] = min(num_rows, height * bands), width
        together = ceil(together / (num_rows * num_cols))
        axes = axes[:-2]
    for number, trips in reversed(axes):
        found[number] = min(trips, together)
        together = ceil(together / trips)
    return found


def fetched_bytes(piece: Moved, grid: Grid, cores: int, fits: float, others: float) -> float:
    """Bytes of a piece's tensor that device memory delivers over the whole grid.

    `fits`: bytes the shared level keeps. `others`: bytes that the other pieces of a wave
    bring in beside this one.
    """
    if piece.unique_bytes + others <= fits:
        return piece.unique_bytes
    cover = covered(grid, cores)
    order = _slow_to_fast(grid)
    trips = dict(zip(grid.numbers, grid.trips, strict=True))
    sweeps = 1.0
    for at, axis in enumerate(order):
        if axis in piece.depends or cover[axis] >= trips[axis]:
            continue
        faster = [a for a in order[at + 1 :] if a in piece.depends and cover[a] < trips[a]]
        if faster:  # the piece is walked through anew at every position of this axis
            sweeps *= ceil(trips[axis] / cover[axis])
    return piece.unique_bytes * sweeps


def _slow_to_fast(grid: Grid) -> list[int]:
    return list(grid.numbers)


def wave_bytes(piece: Moved, grid: Grid, cores: int) -> float:
    """Distinct bytes of a piece that one wave of tiles touches."""
    cover = covered(grid, cores)
    share = 1.0
    for axis, trips in zip(grid.numbers, grid.trips, strict=True):
        if axis in piece.depends:
            share *= min(1.0, cover[axis] / trips)
    return piece.unique_bytes * share
