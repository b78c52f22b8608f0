"""The time of a program on a card: every grid dealt to the cores, wave by wave.

A core works through one tile of every wave (`resident` ones side by side); the last wave may
fill only some cores, and those then have a larger share of every bandwidth. Loads and stores
of a wave divide the shared level and device memory evenly among the tiles at work. Tiles of
unequal length that begin anew are dealt one by one instead (`apart.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby

from suiren.core.apart import Trips, dealt, tile_times
from suiren.core.compiled import compiled
from suiren.core.loop import BEGIN, MATRIX, PAUSE, SPECIAL, Duration, Nest, Op, flat, repeat
from suiren.core.pace import Engines, engines_of
from suiren.core.phase import Phase, Wave, phases
from suiren.core.program import Program
from suiren.core.tile import KernelMistake
from suiren.core.traffic import Moved, fetched, survives
from suiren.hw.spec import Card
from suiren.units import PS_PER_S

#: Runs in memory from this length on count as a stream: a page or two of a memory bank.
LONG_RUN_BYTES = 2048
_NONE = Duration(0)


@dataclass
class Timing:
    """What a program takes on a card. Amounts are those of all cores, padding included."""

    seconds: float = 0.0
    parts_s: dict[str, float] = field(default_factory=dict)
    """Busy time, as if it ran alone: matrix, vector, memory, l2."""
    memory_bytes: float = 0.0
    l2_bytes: float = 0.0
    macs: float = 0.0
    lanes: float = 0.0
    special: float = 0.0
    waves: int = 0
    why: str = ""
    """The busiest part."""

    def add(self, part: str, seconds: float) -> None:
        """Adds to a part's busy time."""
        self.parts_s[part] = self.parts_s.get(part, 0.0) + seconds


def time_program(
    program: Program, card: Card, clock: float = 1.0, warm: Mapping[str, float] | None = None
) -> Timing:
    """The time of a program on a card, launch not included.

    `clock` scales the clocks; `warm` is the share of a tensor, by name, that already lies in
    the shared level.
    """
    engines = engines_of(card, clock)
    total = Timing()
    near = dict(warm or {})
    end = 0
    for phase in phases(program, card):
        start = end + phase.barriers * round(card.pace.barrier_s * PS_PER_S)
        if phase.grid.fresh and not end:
            start += round(card.pace.pipeline_start_s * PS_PER_S)
        end = time_phase(phase, program, engines, near, start, total)
        # what a phase wrote is near for the next one
        near |= {p.name: survives(p.unique_bytes, card) for p in phase.pieces if p.is_store}
    total.seconds = end / PS_PER_S
    total.why = max(total.parts_s, key=lambda part: total.parts_s[part], default="")
    return total


def time_phase(
    phase: Phase, program: Program, engines: Engines, warm: Mapping[str, float], start: int,
    total: Timing,
) -> int:  # fmt: skip
    """Adds a phase that starts at `start` to the total; returns when it ends, ps."""
    flows = Flows.of(phase, engines.card, warm)
    begin = (BEGIN if phase.grid.fresh else PAUSE, 0, len(phase.steps), 0, ())
    nest = _nest((begin, *phase.ops), program)
    state = nest.fresh(start)
    kinds = _Kinds(phase, engines, flows, total)
    for alike, waves in groupby(phase.waves, lambda w: (w.tiles, w.side_by_side, w.trips)):
        table, count = [0], 0
        for wave in waves:
            table, count = kinds.table(wave), count + wave.count
        state = repeat(nest, count, state, table, alike[-1])
    end = max(state)
    if phase.runs:
        end = start + _apart(phase, nest, kinds)
    tiles = phase.grid.tiles
    total.memory_bytes += (flows.loads.memory + flows.stores.memory) * tiles
    total.l2_bytes += (flows.loads.l2 + flows.stores.l2) * tiles
    total.waves += sum(w.count for w in phase.waves)
    for at, step, key in phase.computing:
        times = phase.executions[at]
        macs, lanes, special = engines.amounts(step, key)
        total.macs += macs * times * tiles
        total.lanes += lanes * times * tiles
        total.special += special * times * tiles
    return end


def _nest(ops: tuple[Op, ...], program: Program) -> Nest:
    """The compiled body; raises KernelMistake where its loops do not keep the slots in balance."""
    try:
        return compiled(ops, tuple(t.buffers for t in program.tiles))
    except (IndexError, ValueError):
        raise KernelMistake(
            f"{program.name}: a loop takes slots that it does not give back, or the other way "
            "round; "
            "load, wait and release a tile equally often in one loop, acquire and store likewise"
        ) from None


@dataclass(slots=True)
class _Kinds:
    """Durations of a phase's waves, worked out once for those with as many tiles at work."""

    phase: Phase
    engines: Engines
    flows: Flows
    total: Timing
    known: dict[tuple[int, int], tuple[list[int], dict[str, float]]] = field(default_factory=dict)

    def table(self, wave: Wave) -> list[int]:
        """Durations of a wave as a compiled body takes them; adds its parts to the total."""
        key = wave.tiles, wave.side_by_side
        found = self.known.get(key)
        if found is None:
            table, parts_s = durations(self.phase, self.engines, wave, self.flows)
            found = self.known[key] = flat(table), parts_s
        for part, seconds in found[1].items():
            self.total.add(part, seconds * wave.count)
        return found[0]


def _apart(phase: Phase, nest: Nest, kinds: _Kinds) -> int:
    """Time of a grid whose tiles go out one by one, ps."""
    cores, tiles = int(kinds.engines.card.cores), phase.grid.tiles
    slots = cores * phase.grid.resident
    rounds = -(-tiles // slots)
    wave = Wave(rounds, min(tiles, slots), min(phase.grid.resident, -(-tiles // cores)), ())
    table = kinds.table(wave)

    def timed(trips: Trips) -> int:
        return max(repeat(nest, 1, nest.fresh(), table, trips))

    kinds.total.waves += rounds
    return dealt(phase.runs, tile_times(phase.runs, timed), phase.again, slots)


@dataclass(slots=True)
class _Flow:
    """Bytes of one tile of a grid, of all its loads or all its stores."""

    core: float = 0.0
    l2: float = 0.0
    memory: float = 0.0
    printed: float = 0.0
    """Bytes that device memory could move meanwhile at its printed rate."""


@dataclass(frozen=True, slots=True)
class Flows:
    """What one tile of a grid moves, on average."""

    loads: _Flow
    stores: _Flow
    miss: dict[int, float]
    """Share of each load that comes from device memory, by `id` of its step."""

    @classmethod
    def of(cls, phase: Phase, card: Card, warm: Mapping[str, float]) -> Flows:
        """What one tile moves on average."""
        tiles = max(1, phase.grid.tiles)
        passing = fetched(
            phase.pieces, phase.grid, int(card.cores) * phase.grid.resident, warm, card
        )
        flows = cls(_Flow(), _Flow(), {})
        for piece in phase.pieces:
            amount, memory = piece.valid_bytes / tiles, passing[id(piece.step)] / tiles
            into = flows.stores if piece.is_store else flows.loads
            into.core += amount
            into.l2 += (amount / card.pace.multicast if piece.multicast else amount) * (
                2 if piece.add else 1
            )
            into.memory += memory
            into.printed += memory / _sustained(piece, card)
            if not piece.is_store:
                flows.miss[id(piece.step)] = min(1.0, memory / amount) if amount else 0.0
        return flows


def _sustained(piece: Moved, card: Card) -> float:
    """Share of memory's bandwidth for a piece: long runs keep its pages open."""
    long = piece.run_bytes >= LONG_RUN_BYTES
    return float(card.pace.stream_efficiency if long else card.memory_efficiency)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Seconds in which a core's tiles of one wave are loaded and stored."""

    load_s: float
    store_s: float
    charge_s: float
    matrix_stretch: float
    parts_s: dict[str, float]
    """Busy time of each part in the wave, as if it ran alone."""


def durations(
    phase: Phase, engines: Engines, wave: Wave, flows: Flows
) -> tuple[list[Duration], dict[str, float]]:
    """Durations of every step in a wave and of a tile's start; and busy seconds by part.

    They depend on how many tiles are at work, not on how long these are.
    """
    card, beside = engines.card, wave.side_by_side
    table = [_NONE] * len(phase.steps)
    for at, step, key in phase.computing:
        table[at] = engines.compute(step, beside, key)
    shares = _shares(phase, engines, wave, flows, table)
    pace = card.pace
    if shares.matrix_stretch > 1:
        for at, step, key in phase.computing:
            if phase.engines[at] == MATRIX:
                busy_s = engines.product_s(step, key) * beside * shares.matrix_stretch
                busy = max(table[at].busy, round(busy_s * PS_PER_S))
                table[at] = Duration(busy, table[at].latency)
    for piece, at in zip(phase.pieces, phase.moving, strict=True):
        if not piece.is_store:
            part = piece.bytes / flows.loads.core if flows.loads.core else 0.0
            latency = pace.l2_latency_s + card.memory_latency_s * flows.miss[id(piece.step)]
            busy_s = pace.copy_issue_s + part * shares.load_s
            table[at] = Duration(round(busy_s * PS_PER_S), round(latency * PS_PER_S))
        else:
            part = piece.bytes / flows.stores.core if flows.stores.core else 0.0
            table[at] = Duration(round(part * shares.store_s * PS_PER_S), 0,
                                 round(part * shares.charge_s * PS_PER_S))  # fmt: skip
    table.append(Duration(round(pace.tile_start_s * PS_PER_S)))
    return table, shares.parts_s


def _shares(
    phase: Phase, engines: Engines, wave: Wave, flows: Flows, table: list[Duration]
) -> _Shares:
    card, beside, loads, stores = engines.card, wave.side_by_side, flows.loads, flows.stores
    pace, inf = card.pace, float("inf")
    port = pace.port_bytes_per_cycle * engines.matrix_hz
    l2_rate = card.l2_bytes_per_s * pace.l2_efficiency or inf
    memory_rate = card.memory_bytes_per_s or inf
    store_rate = card.l2_bytes_per_s * pace.store_share or inf
    l2_s = max(loads.core * beside / port, loads.l2 * wave.tiles / l2_rate)
    memory_s = loads.printed * wave.tiles / memory_rate
    write_s = stores.printed * wave.tiles / memory_rate
    store_s = max(stores.l2 * wave.tiles / store_rate, stores.core * beside / port)
    if not card.l2_bytes_per_s:  # nothing takes the results in before memory does
        store_s = max(store_s, write_s)
    matrix_s = vector_s = special_s = 0.0
    for at, _, _ in phase.computing:
        engine, busy_s = phase.engines[at], table[at].busy * phase.executions[at] / PS_PER_S
        if engine == MATRIX:
            matrix_s += busy_s
        elif engine == SPECIAL:
            special_s += busy_s
        else:
            vector_s += busy_s
    parts = {"matrix": matrix_s, "vector": max(vector_s, special_s), "memory": memory_s + write_s,
             "l2": max(l2_s, store_s if not write_s else 0.0)}  # fmt: skip
    load_s, stretch = max(l2_s, memory_s), 1.0
    top = max(matrix_s, load_s)
    lost = pace.overlap_loss * (matrix_s + l2_s + memory_s - top)
    if matrix_s >= load_s:
        stretch = 1 + lost / top if top else 1.0
    else:
        load_s += lost
    # what a full tile's loads and its charge take together is never more than its loads take
    # alone or memory needs for all
    full = phase.fullness(flows.loads.core, stores=False) * load_s
    charge_s = max(0.0, memory_s + write_s - full) / phase.fullness(stores.core, stores=True)
    return _Shares(load_s, store_s, charge_s, stretch, parts)
