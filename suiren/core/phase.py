"""One grid of a program, ready to be timed: its operations, its waves, and what it moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from suiren.core.apart import Runs
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.loop import ACCUMULATE, ACQUIRE, AWAIT, DRAIN, FILL, ISSUE, RELEASE, REPEAT, Op
from suiren.core.pace import Engines, Key, engines_of, key_of
from suiren.core.program import Grid, Loop, Node, Program, Step
from suiren.core.tile import Tile
from suiren.core.traffic import Moved, moved
from suiren.hw.spec import Card

_PROTOCOL = {"wait": AWAIT, "release": RELEASE, "acquire": ACQUIRE}
#: Codes of steps; any other one is ISSUE.
_CODES = {name: ACCUMULATE for name, i in INSTRUCTIONS.items() if i.accumulates}
_CODES |= {"load": FILL, "store": DRAIN}


@dataclass(frozen=True, slots=True)
class Wave:
    """`count` waves that are alike: tiles at work in all, and on the fullest core."""

    count: int
    tiles: int
    side_by_side: int
    trips: tuple[int, ...]
    """How often each loop runs."""


@dataclass
class Phase:
    """One grid with the tables that its durations and trip counts are looked up in."""

    grid: Grid
    steps: list[Step]
    """The step behind each place in the table of durations."""
    engines: list[int]
    """The engine of each of them."""
    executions: list[float]
    """How often each runs in one tile, on average over the tiles."""
    ops: tuple[Op, ...]
    waves: list[Wave]
    pieces: list[Moved]
    barriers: int = 0
    """Barriers between the grid before and this one."""
    runs: Runs = ()
    """Where tiles begin anew and differ in length: runs of equal ones, in the order they go out."""
    again: int = 1
    """How often these runs follow each other."""

    def fullness(self, average_bytes: float, stores: bool) -> float:
        """Bytes that a full tile loads or stores over those of the average one, at least 1."""
        full = sum(
            piece.bytes * self.executions[at]
            for piece, at in zip(self.pieces, self.moving, strict=True)
            if piece.is_store == stores
        )
        return max(1.0, full / average_bytes) if average_bytes else 1.0

    @cached_property
    def moving(self) -> list[int]:
        """Places of the loads and stores, in the order of `pieces`."""
        return [at for at, s in enumerate(self.steps) if s.view is not None]

    @cached_property
    def computing(self) -> list[tuple[int, Step, Key]]:
        """Place, step and `key_of` all steps but loads and stores."""
        return [(at, s, key_of(s)) for at, s in enumerate(self.steps) if s.view is None]


def phases(program: Program, card: Card) -> list[Phase]:
    """The grids of a program, each with the barriers before it."""
    found: list[Phase] = []
    barriers = 0
    for node in program.nodes:
        if isinstance(node, Grid):
            found.append(_phase(node, card))
            found[-1].barriers = barriers
            barriers = 0
        elif isinstance(node, Step) and node.name == "barrier":
            barriers += 1
    return found


def _phase(grid: Grid, card: Card) -> Phase:
    found = _Found(engines_of(card))
    ops = _ops(grid.body, found)
    steps, loops = found.steps, found.loops
    runs, again = _runs(grid, loops)
    waves = [] if runs else list(_waves(grid, loops, int(card.cores)))
    lots = runs or tuple((w.count * w.tiles, w.trips) for w in waves)
    tiles = sum(count for count, _ in lots) or 1
    average = {
        loop.number: sum(count * trips[at] for count, trips in lots) / tiles
        for at, loop in enumerate(loops)
    }
    inside: dict[int, float] = {}
    _count(grid.body, 1.0, average, inside)
    turns = {loop.number: loop.longest for loop in loops}
    pieces = [moved(s, inside[id(s)], turns, grid) for s in steps if s.view is not None]
    return Phase(grid, steps, found.runs_on, [inside[id(s)] for s in steps],
                 ops, waves, pieces, runs=runs, again=again)  # fmt: skip


@dataclass(slots=True)
class _Found:
    """What a grid's body holds, in the order of the text."""

    engines: Engines
    steps: list[Step] = field(default_factory=list)
    runs_on: list[int] = field(default_factory=list)
    """The engine of each step."""
    loops: list[Loop] = field(default_factory=list)


def _ops(nodes: list[Node], found: _Found) -> tuple[Op, ...]:
    ops: list[Op] = []
    for node in nodes:
        if isinstance(node, Step):
            ops.append(_op(node, found))
        elif isinstance(node, Loop):
            at = len(found.loops)
            found.loops.append(node)
            ops.append((REPEAT, _ops(node.body, found), at))
    return tuple(ops)


def _op(step: Step, found: _Found) -> Op:
    tile = step.tiles[0].number
    waits = _PROTOCOL.get(step.name)
    if waits is not None:
        return (waits, 0, 0, tile, ())
    sources: tuple[int, ...] = ()
    if step.sources:
        sources = tuple([s.number for s in step.sources if isinstance(s, Tile)])
    at, engine = len(found.steps), found.engines.engine(step)
    found.steps.append(step)
    found.runs_on.append(engine)
    return (_CODES.get(step.name, ISSUE), engine, at, tile, sources)


def _count(
    nodes: list[Node], times: float, average: dict[int, float], inside: dict[int, float]
) -> None:
    for node in nodes:
        if isinstance(node, Loop):
            _count(node.body, times * average[node.number], average, inside)
        elif isinstance(node, Step):
            inside[id(node)] = times


def _runs(grid: Grid, loops: list[Loop]) -> tuple[Runs, int]:
    """Runs of equal tiles if tiles begin anew and their length follows one axis; else none."""
    needed = _stopping(loops)
    axes = [at for at, number in enumerate(grid.numbers) if number in needed]
    if not grid.fresh or grid.first or grid.count is not None or len(axes) != 1:
        return (), 1
    at = axes[0]
    again, count = prod(grid.trips[:at]), prod(grid.trips[at + 1 :])
    places = range(grid.trips[at])
    found = [
        (count, _trips(loops, {grid.numbers[at]: place}))
        for place in (reversed(places) if grid.descending else places)
    ]
    return tuple(found), again


def _waves(grid: Grid, loops: list[Loop], cores: int) -> Iterator[Wave]:
    """Full waves, those with equal trip counts together, then the rest."""
    slots = cores * grid.resident
    full, rest = divmod(grid.tiles, slots)
    stride = _stride(grid, _stopping(loops))
    wave = 0
    while wave < full:
        trips = _trips(loops, grid.iterations(wave * slots))
        # the next tile at which a trip count may change
        change = (wave * slots // stride + 1) * stride
        until = max(wave + 1, min(full, -(-change // slots)))
        yield Wave(until - wave, slots, grid.resident, trips)
        wave = until
    if rest:
        yield Wave(1, rest, -(-rest // cores), _trips(loops, grid.iterations(full * slots)))


def _trips(loops: list[Loop], places: dict[int, int]) -> tuple[int, ...]:
    # a loop inside another one of the tile is told with that one at its first iteration
    known = {**{loop.number: 0 for loop in loops}, **places}
    return tuple(loop.trips(known) for loop in loops)


def _stopping(loops: list[Loop]) -> set[int]:
    """Numbers of the loops and axes that some loop's trip count depends on."""
    return {n for loop in loops if loop.stop is not None for n in loop.stop.loops()}


def _stride(grid: Grid, needed: set[int]) -> int:
    """Tiles between two changes of the fastest axis that is needed for a trip count."""
    stride = 1
    for number, trips in zip(reversed(grid.numbers), reversed(grid.trips), strict=True):
        if number in needed:
            return stride
        stride *= trips
    return stride
