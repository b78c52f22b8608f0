"""The time of a program on a card: every grid dealt to the cores, wave by wave.

Core 0 works through one tile of every wave; the last wave may fill only some cores, and those
then have a larger share of every bandwidth. Loads and stores of a wave divide the shared
level and device memory evenly among the cores at work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from suiren.core.compiled import compiled
from suiren.core.instruction import INSTRUCTIONS
from suiren.core.loop import (
    ACCUMULATE,
    ACQUIRE,
    AWAIT,
    DRAIN,
    FILL,
    ISSUE,
    LOAD,
    PAUSE,
    RELEASE,
    REPEAT,
    Duration,
    Op,
    flat,
    repeat,
)
from suiren.core.pace import Engines
from suiren.core.program import Grid, Loop, Node, Program, Step
from suiren.core.tile import Tile
from suiren.core.traffic import Moved, fetched_bytes, moved, wave_bytes
from suiren.hw.spec import Card
from suiren.units import PS_PER_S

_PROTOCOL = {"wait": AWAIT, "release": RELEASE, "acquire": ACQUIRE}


@dataclass(frozen=True, slots=True)
class Wave:
    """`count` waves that are alike: `cores` at work, and how often each loop runs."""

    count: int
    cores: int
    trips: tuple[int, ...]


@dataclass
class Phase:
    """One grid, ready to be timed."""

    grid: Grid
    steps: list[Step]
    """The step behind each place in the table of durations."""
    loops: list[Loop]
    """The loop behind each place in the table of trip counts."""
    ops: tuple[Op, ...]
    waves: list[Wave]
    pieces: list[Moved]


@dataclass
class Timing:
    """What a program takes. Seconds, bytes and counts of all cores."""

    seconds: float
    parts_s: dict[str, float] = field(default_factory=dict)
    """Busy time of core 0's engines, and of the shared level and device memory."""
    memory_bytes: float = 0.0
    l2_bytes: float = 0.0
    macs: float = 0.0
    """Multiply-accumulates, padding included."""
    waves: int = 0


def time_program(program: Program, card: Card, clock: float = 1.0, warm: float = 0.0) -> Timing:
    """The time of a program on a card, launch not included.

    `clock` scales the clocks; `warm` is the share of the inputs that already lies in the
    shared level.
    """
    engines = Engines(card, clock)
    total = Timing(0.0)
    start = 0
    for phase in phases(program, card):
        start = _time_phase(phase, program, card, engines, warm, start, total)
    total.seconds = start / PS_PER_S
    return total


def phases(program: Program, card: Card) -> list[Phase]:
    """The grids of a program; barriers lie between them."""
    return [_phase(node, card) for node in program.nodes if isinstance(node, Grid)]


def _phase(grid: Grid, card: Card) -> Phase:
    engines = Engines(card)
    steps: list[Step] = []
    loops: list[Loop] = []

    def ops(nodes: list[Node]) -> tuple[Op, ...]:
        found: list[Op] = []
        for node in nodes:
            if isinstance(node, Loop):
                at = len(loops)
                loops.append(node)
                found.append((REPEAT, ops(node.body), at))
            elif isinstance(node, Step):
                found.append(_op(node, steps, engines))
        return tuple(found)

    body = ops(grid.body)
    waves = list(_waves(grid, loops, int(card.cores)))
    by_number = {loop.number: loop for loop in loops}
    weights = _executions(grid, loops, waves)
    pieces = [
        moved(step, weights(step), grid.tiles, by_number, grid)
        for step in steps
        if step.view is not None
    ]
    return Phase(grid, steps, loops, body, waves, pieces)


def _op(step: Step, steps: list[Step], engines: Engines) -> Op:
    tile = step.tiles[0].number
    if step.name in _PROTOCOL:
        return (_PROTOCOL[step.name], 0, 0, tile, ())
    sources = tuple(s.number for s in step.sources if isinstance(s, Tile))
    steps.append(step)
    at, engine = len(steps) - 1, engines.engine(step)
    if step.name == "load":
        return (FILL, engine, at, tile, sources)
    if step.name == "store":
        return (DRAIN, engine, at, tile, sources)
    instruction = INSTRUCTIONS.get(step.name)
    code = ACCUMULATE if instruction is not None and instruction.accumulates else ISSUE
    return (code, engine, at, tile, sources)


# ---- waves -------------------------------------------------------------------------------


def _waves(grid: Grid, loops: list[Loop], cores: int) -> Iterator[Wave]:
    """Full waves, those with equal trip counts together, then the rest."""
    full, rest = divmod(grid.tiles, cores)
    uneven = [loop for loop in loops if loop.stop is not None]
    if not uneven:
        trips = tuple(loop.trips({}) for loop in loops)
        if full:
            yield Wave(full, cores, trips)
        if rest:
            yield Wave(1, rest, trips)
        return
    stride = _stride(grid, uneven)
    wave = 0
    while wave < full + bool(rest):
        trips = _trips(loops, grid.iterations(wave * cores))
        if wave == full:
            yield Wave(1, rest, trips)
            return
        # the next tile at which a trip count may change
        change = (wave * cores // stride + 1) * stride
        until = max(wave + 1, min(full, -(-change // cores)))
        yield Wave(until - wave, cores, trips)
        wave = until


def _trips(loops: list[Loop], places: dict[int, int]) -> tuple[int, ...]:
    # a loop inside another one of the tile stands at its first iteration
    known = {**{loop.number: 0 for loop in loops}, **places}
    return tuple(loop.trips(known) for loop in loops)


def _stride(grid: Grid, uneven: list[Loop]) -> int:
    """Tiles between two changes of the fastest axis that some trip count depends on."""
    needed: set[int] = set()
    for loop in uneven:
        if loop.stop is not None:
            needed |= loop.stop.loops()
    if grid.bundle > 1:
        return 1
    stride = 1
    for number, trips in zip(reversed(grid.numbers), reversed(grid.trips), strict=True):
        if number in needed:
            return stride
        stride *= trips
    return stride


class _executions:  # noqa: N801 - used as a function
    """How often a step runs in one tile, on average over the tiles."""

    def __init__(self, grid: Grid, loops: list[Loop], waves: list[Wave]) -> None:
        tiles = sum(w.count * w.cores for w in waves) or 1
        self.average = [
            sum(w.count * w.cores * w.trips[at] for w in waves) / tiles for at in range(len(loops))
        ]
        self.inside: dict[int, float] = {}
        self._walk(grid.body, 1.0, {loop.number: at for at, loop in enumerate(loops)})

    def _walk(self, nodes: list[Node], times: float, place: dict[int, int]) -> None:
        for node in nodes:
            if isinstance(node, Loop):
                self._walk(node.body, times * self.average[place[node.number]], place)
            elif isinstance(node, Step):
                self.inside[id(node)] = times

    def __call__(self, step: Step) -> float:
        return self.inside[id(step)]


# ---- durations ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Flow:
    """Bytes of one tile of a grid, of all its loads or all its stores."""

    core: float
    l2: float
    memory: float


def _flows(phase: Phase, card: Card, warm: float) -> tuple[_Flow, _Flow, dict[int, float]]:
    """Loads, stores, and the share of each load that comes from device memory (by step)."""
    grid, cores, tiles = phase.grid, int(card.cores), max(1, phase.grid.tiles)
    fits = card.l2_bytes * card.pace.l2_share
    group = max(1.0, card.cores / card.chip.core_groups) if card.chip.core_groups else 1.0
    waves = {id(p): wave_bytes(p, grid, cores) for p in phase.pieces}
    everything = sum(waves.values())
    whole = sum(p.unique_bytes for p in phase.pieces)
    sums = {"load": [0.0, 0.0, 0.0], "store": [0.0, 0.0, 0.0]}
    miss: dict[int, float] = {}
    for piece in phase.pieces:
        into = sums[piece.step.name]
        amount = piece.valid_bytes / tiles
        into[0] += amount
        shared = amount if piece.multicast is None else amount / group
        into[1] += shared * (2 if piece.add else 1)
        if whole <= fits:
            fetched = piece.unique_bytes
        else:
            fetched = fetched_bytes(piece, grid, cores, fits, everything - waves[id(piece)])
        if piece.step.name == "load":
            fetched *= 1 - warm
        fetched = min(fetched, piece.valid_bytes) / tiles
        miss[id(piece.step)] = fetched / amount if amount else 0.0
        into[2] += fetched
    return _Flow(*sums["load"]), _Flow(*sums["store"]), miss


def _table(
    phase: Phase, card: Card, engines: Engines, cores: int, flows: tuple[_Flow, _Flow, dict[int, float]]
) -> list[Duration]:
    """Durations of every step with `cores` at work."""
    loads, stores, miss = flows
    pace = card.pace
    port = pace.port_bytes_per_cycle * engines.matrix_hz
    load_s = max(loads.core / port, _shared_s(loads, card, cores))
    write_rate = pace.store_bytes_per_s or float("inf")
    store_s = max(stores.core / port, stores.l2 * cores / write_rate, _shared_s(stores, card, cores))
    together = _shared_s(
        _Flow(0.0, loads.l2 + stores.l2, loads.memory + stores.memory), card, cores
    )
    charge_s = max(0.0, together - load_s)
    table: list[Duration] = []
    for step in phase.steps:
        if step.view is None:
            table.append(engines.compute(step))
            continue
        piece = next(p for p in phase.pieces if p.step is step)
        if step.name == "load":
            busy = pace.copy_issue_s + (piece.bytes / loads.core * load_s if loads.core else 0.0)
            latency = pace.l2_latency_s + card.memory_latency_s * min(1.0, miss[id(step)])
            table.append(Duration(round(busy * PS_PER_S), round(latency * PS_PER_S)))
        else:
            share = piece.bytes / stores.core if stores.core else 0.0
            table.append(Duration(
                round(share * store_s * PS_PER_S), 0, round(share * charge_s * PS_PER_S)
            ))  # fmt: skip
    table.append(Duration(round(pace.tile_start_s * PS_PER_S)))
    return table


def _shared_s(flow: _Flow, card: Card, cores: int) -> float:
    """Seconds in which the shared level and device memory serve `cores` tiles."""
    l2_s = memory_s = 0.0
    if card.l2_bytes_per_s:
        l2_s = flow.l2 * cores / (card.l2_bytes_per_s * card.pace.l2_efficiency)
    if card.memory_bytes_per_s:
        memory_s = flow.memory * cores / (card.memory_bytes_per_s * card.memory_efficiency)
    return max(l2_s, memory_s)


def _time_phase(
    phase: Phase, program: Program, card: Card, engines: Engines, warm: float, start: int,
    total: Timing,
) -> int:  # fmt: skip
    """Adds a phase to the total; returns when it ends, ps."""
    flows = _flows(phase, card, warm)
    body = ((PAUSE, LOAD, len(phase.steps), 0, ()), *phase.ops)
    nest = compiled(body, tuple(t.buffers for t in program.tiles))
    state = nest.fresh(start)
    for wave in phase.waves:
        table = flat(_table(phase, card, engines, wave.cores, flows))
        state = repeat(nest, wave.count, state, table, wave.trips)
    loads, stores, _ = flows
    tiles = phase.grid.tiles
    total.memory_bytes += (loads.memory + stores.memory) * tiles
    total.l2_bytes += (loads.l2 + stores.l2) * tiles
    total.waves += sum(w.count for w in phase.waves)
    end = max(state)
    return end + round(card.pace.barrier_s * PS_PER_S) if start else end
