"""All candidates of a product weighed at once: no time below `least_ps`, and the exact one.

A candidate whose least time is not below the best found cannot win and is never simulated. The
exact time is that of `core.timing.time_program` to the picosecond; durations come from columns
and only the waves are run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from suiren.core.apart import dealt, tile_times
from suiren.core.loop import repeat
from suiren.core.pace import Engines
from suiren.hw.spec import Card
from suiren.mapper.candidate import Candidates, Floats, Ints, Shape, ceil_div
from suiren.mapper.estimate import survive
from suiren.mapper.grids import Grid, product_grid, sum_grid
from suiren.mapper.waves import Bodies, Body, Wave, Work, product_work, wave_of
from suiren.units import PS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class Waves:
    """A grid of every candidate as it is run: full waves, then the rest of the tiles."""

    body: Body
    counts: tuple[Ints, Ints, Ints]
    """Full waves of long tiles, of short ones, and of the rest: at most one."""
    trips: tuple[Ints, Ints, Ints]
    """Of the loop in each."""
    full: Wave
    rest: Wave

    def kinds(self) -> list[tuple[Ints, Ints, Wave]]:
        """(count, trips, durations) in the order they run."""
        waves = (self.full, self.full, self.rest)
        return list(zip(self.counts, self.trips, waves, strict=True))

    def run_ps(self, body: Body, at: int, start: int) -> int:
        """When the waves of one candidate end that start at `start`."""
        state = body.nest.fresh(start)
        for count, trips, wave in self.kinds():
            if count[at]:
                state = repeat(body.nest, int(count[at]), state, wave.table[at].tolist(),
                               (int(trips[at]),))  # fmt: skip
        return max(state)

    def least_ps(self) -> Ints:
        """What the waves take at least.

        One engine after the other is taken as never idle; before its first and after its last step
        comes what must.
        """
        parts = [_parts(self.body, wave, trips) for _, trips, wave in self.kinds()]
        if self.body.is_fresh:
            return _over(self.counts, [self.full.start + p.alone for p in parts])
        first = np.where(self.counts[0] + self.counts[1] > 0, parts[0].before + self.full.start,
                         parts[2].before + self.rest.start)  # fmt: skip
        is_rest = self.counts[2] > 0
        after, end, charge, store = (
            np.where(is_rest, getattr(parts[2], name), getattr(parts[0], name))
            for name in ("after", "end", "charge", "store")
        )
        load = _over(self.counts, [p.load for p in parts])
        starts = sum(self.counts) * self.full.start
        return _longest(
            load + starts + after,
            load + _over(self.counts, [p.charge for p in parts]) - charge + after,
            first + _over(self.counts, [p.compute for p in parts]) + end,
            first + _over(self.counts, [p.store for p in parts]) - store + end,
        )


def _longest(*times: Ints) -> Ints:
    longest: Ints = np.maximum.reduce(times)
    return longest


def _over(counts: tuple[Ints, ...], each: list[Ints]) -> Ints:
    total = np.zeros_like(counts[0])
    for count, one in zip(counts, each, strict=True):
        total = total + np.where(count > 0, count * one, 0)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """Of one tile, picoseconds: busy engines, and what precedes and follows them."""

    load: Ints
    compute: Ints
    store: Ints
    charge: Ints
    before: Ints
    """Until the first operands are there."""
    after: Ints
    """From the last load on."""
    end: Ints
    """From the loop's last computing on."""

    @property
    def alone(self) -> Ints:
        """What a tile takes at least when it begins after all else is over."""
        return _longest(self.load + self.after, self.before + self.compute + self.end,
                        self.load + self.charge)  # fmt: skip


def _parts(body: Body, wave: Wave, trips: Ints) -> _Parts:
    zero = np.zeros_like(trips)
    load = compute = store = charge = late = end = step = zero
    for at, action in enumerate(body.actions):
        busy, latency = wave.busy[at], wave.latency[at]
        if action.is_store:
            store, charge, end = busy, wave.charge[at], end + busy
        elif action.tensor:
            load, late = load + busy, latency
        elif action.is_inner:
            compute, step, end = busy * trips, busy, latency
        else:
            end = end + busy + latency  # what precedes the loop is reset by it
    return _Parts(load * trips, compute, store, charge, load + late, late + step + end, end)


class Group:
    """Candidates of one product that are built alike: whole, in a batch, or with k split."""

    def __init__(
        self, shape: Shape, engines: Engines, ways: Candidates, warm: Mapping[str, float],
        bodies: Bodies,
    ) -> None:  # fmt: skip
        self.ways, self.bodies, self.engines = ways, bodies, engines
        card = engines.card
        body = bodies(0)
        self.is_apart = body[0].is_fresh and len(body) > 1
        self.tiles, counts, trips = _dealt(shape, card, ways)
        average = sum(c * t for c, t in zip(_weights(card, ways, self.tiles, counts), trips,
                                            strict=True)) / self.tiles  # fmt: skip
        if self.is_apart:
            average = self._trips_apart(trips) / self.tiles
        grid = product_grid(shape, card, ways, average, warm)
        self.main = self._waves(body[0], grid, product_work(shape, engines, ways, average), counts,
                                trips)  # fmt: skip
        self.sums = self._sums(shape, grid, body[1]) if len(body) > 1 else None
        pace = card.pace
        self.begin = round(pace.pipeline_start_s * PS_PER_S) if body[0].is_fresh else 0
        self.barrier = round(pace.barrier_s * PS_PER_S)
        self.sums_least = np.zeros(len(ways), np.int64)
        if self.sums is not None:
            self.sums_least = self.barrier + self.sums.least_ps()
        self.least_ps = self.begin + self._main_least() + self.sums_least

    def _trips_apart(self, trips: tuple[Ints, Ints, Ints]) -> Ints:
        parts = self.ways.splits
        return np.asarray(self.tiles // parts * ((parts - 1) * trips[0] + trips[1]))

    def _waves(
        self, body: Body, grid: Grid, work: Work, counts: tuple[Ints, Ints, Ints],
        trips: tuple[Ints, Ints, Ints], resident: Ints | None = None,
    ) -> Waves:  # fmt: skip
        cores = int(self.engines.card.cores)
        beside = self.ways.resident if resident is None else resident
        tiles, rest = grid.slots, grid.tiles % grid.slots
        if self.is_apart and resident is None:
            tiles = np.minimum(grid.tiles, tiles)
            beside = np.minimum(beside, ceil_div(grid.tiles, cores))
        full = wave_of(body, grid, work, self.engines, tiles, beside)
        last = wave_of(body, grid, work, self.engines, rest, ceil_div(rest, cores))
        return Waves(body, counts, trips, full, last)

    def _sums(self, shape: Shape, grid: Grid, body: Body) -> Waves:
        """The grid that adds the parts."""
        ways, card = self.ways, self.engines.card
        slab = slabs(shape, card, ways)
        sums = sum_grid(shape, card, ways, slab, survive(grid.pieces["c"].unique, card))
        one, zero = np.ones_like(slab), np.zeros_like(slab)
        times: Floats = ways.splits * np.ones(len(ways))
        work = Work(slab * ways.tn, times, times, times)
        counts = sums.tiles // sums.slots, zero, (sums.tiles % sums.slots > 0).astype(np.int64)
        return self._waves(body, sums, work, counts, (ways.splits,) * 3, one)

    def _main_least(self) -> Ints:
        if not self.is_apart:
            return self.main.least_ps()
        long, short = (_parts(self.main.body, self.main.full, trips) for trips in
                       self.main.trips[:2])  # fmt: skip
        each = [p.alone + self.main.full.start for p in (long, short)]
        parts = self.ways.splits
        work = self.tiles // parts * ((parts - 1) * each[0] + each[1])
        slots = int(self.engines.card.cores) * self.ways.resident
        return _longest(work // slots, each[0])

    def time_ps(self, at: int, below: int | None) -> int:
        """The exact time of a candidate; any time that is not below `below`, where it is not."""
        bodies = self.bodies(at)
        if self.is_apart:
            end = self._apart(bodies[0], at)
        else:
            end = self.main.run_ps(bodies[0], at, self.begin)
        if self.sums is None:
            return end
        least = end + int(self.sums_least[at])
        if below is not None and least >= below:
            return least
        return self.sums.run_ps(bodies[1], at, end + self.barrier)

    def _apart(self, body: Body, at: int) -> int:
        """Tiles that begin anew, dealt one by one."""
        table = self.main.full.table[at].tolist()
        parts = int(self.ways.splits[at])
        each, long, short = (int(column[at]) for column in
                             (self.tiles // self.ways.splits, *self.main.trips[:2]))  # fmt: skip
        runs = ((each, (long,)),) * (parts - 1) + ((each, (short,)),)

        def timed(trips: tuple[int, ...]) -> int:
            return max(repeat(body.nest, 1, body.nest.fresh(), table, trips))

        slots = int(self.engines.card.cores) * int(self.ways.resident[at])
        return self.begin + dealt(runs, tile_times(runs, timed), 1, slots)


def slabs(shape: Shape, card: Card, ways: Candidates) -> Ints:
    """Rows that a core adds at a time: the second phase of a split product spreads over all."""
    tiles = shape.m * ceil_div(shape.n, ways.tn)
    return np.maximum(1, np.minimum(16, ceil_div(tiles, int(card.cores))))


def _dealt(
    shape: Shape, card: Card, ways: Candidates
) -> tuple[Ints, tuple[Ints, Ints, Ints], tuple[Ints, Ints, Ints]]:
    """Tiles, waves and trips: parts of k come one after the other, and the last may be shorter."""
    each = ceil_div(shape.m, ways.tm) * ceil_div(shape.n, ways.tn) * shape.batch
    tiles = each * ways.splits
    slots = int(card.cores) * ways.resident
    full, rest = tiles // slots, tiles % slots
    last = ceil_div(shape.k, ways.tk) - (ways.splits - 1) * ways.steps
    before = (ways.splits - 1) * each  # tiles before the last part
    long = np.where(ways.splits > 1, np.minimum(full, ceil_div(before, slots)), full)
    short = np.where(ways.splits > 1, last, ways.steps)
    end = np.where(full * slots >= before, short, ways.steps)
    is_rest = (rest > 0).astype(np.int64)
    return tiles, (long, full - long, is_rest), (ways.steps, short, end)


def _weights(
    card: Card, ways: Candidates, tiles: Ints, counts: tuple[Ints, Ints, Ints]
) -> tuple[Ints, Ints, Ints]:
    slots = int(card.cores) * ways.resident
    return counts[0] * slots, counts[1] * slots, tiles % slots
