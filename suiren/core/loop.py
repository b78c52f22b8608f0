"""Exact time of a loop nest: simulated until it repeats itself, then jumped.

Every instruction starts at the maximum of some earlier times and adds a constant, so a loop's
state (when engines, slots and results are free or ready) moves by a max-plus linear map. Such
a map becomes periodic: after some iterations the state is an earlier one plus a constant. From
there on whole periods are added at once, and the rest is run. `unrolled.py` runs every
iteration; the two must agree to the picosecond.

Times are integers. Parts of a body that share nothing may drift apart for ever, so the state
is compared part by part, each against its own clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

LOAD, STORE, MATRIX, VECTOR, SPECIAL = range(5)
ENGINES = ("load", "store", "matrix", "vector", "special")

# Codes of timed operations. `d` is a place in the table of durations, `t` a tile.
ISSUE = 0  # (ISSUE, engine, d, t, sources)      writes t, reads sources
ACCUMULATE = 1  # (ACCUMULATE, engine, d, t, sources)  the engine forwards its own sums
FILL = 2  # (FILL, LOAD, d, t, sources)          starts to fill the next slot
AWAIT = 3  # (AWAIT, 0, 0, t, ())                 the oldest load is the content
RELEASE = 4  # (RELEASE, 0, 0, t, ())
ACQUIRE = 5  # (ACQUIRE, 0, 0, t, ())
DRAIN = 6  # (DRAIN, STORE, d, t, sources)        copies out, then frees the slot
REPEAT = 7  # (REPEAT, Nest)
PAUSE = 8  # (PAUSE, engine, d, 0, ())             keeps an engine busy

Op = tuple  # type: ignore[type-arg]


@dataclass(frozen=True, slots=True)
class Duration:
    """How long an operation keeps its engine, and how much later its result is there. ps."""

    busy: int
    latency: int = 0
    charge: int = 0
    """What a store takes from the loads after it: they share the way to memory."""


@dataclass(slots=True)
class State:
    """When everything is free or ready. ps."""

    free: list[int]
    """Engines."""
    ready: list[int]
    """Tiles: when the content is there."""
    read: list[int]
    """Tiles: when the last use of the content is over."""
    slots: list[list[int]]
    """Tiles: when each free slot may be taken, oldest first."""
    arriving: list[list[int]]
    """Tiles: when each load under way arrives, oldest first."""

    @classmethod
    def fresh(cls, buffers: Sequence[int], start: int = 0) -> State:
        """Everything free at `start`."""
        count = len(buffers)
        return cls([start] * len(ENGINES), [start] * count, [start] * count,
                   [[start] * n for n in buffers], [[] for _ in range(count)])  # fmt: skip

    def end(self) -> int:
        """When all is done."""
        return max(
            max(self.free), max(self.ready, default=0), max(self.read, default=0),
            max((s[-1] for s in self.slots if s), default=0),
        )  # fmt: skip

    def copy(self) -> State:
        """Another state with the same times."""
        return State(self.free[:], self.ready[:], self.read[:], [s[:] for s in self.slots],
                     [a[:] for a in self.arriving])  # fmt: skip


@dataclass(slots=True)
class Part:
    """Engines and tiles of a loop body that depend on each other."""

    engines: tuple[int, ...]
    written: tuple[int, ...]
    """Tiles the body writes, fills, drains or reads on an engine: their times move on."""
    slotted: tuple[int, ...]
    """Those of them whose slots the body takes and gives back."""
    fixed: tuple[int, ...]
    """Tiles the body only reads: when their content was ready stays, its last use moves on."""


@dataclass(slots=True)
class Nest:
    """A loop of timed operations; `trips` is a place in the table of trip counts."""

    ops: tuple[Op, ...]
    trips: int
    parts: tuple[Part, ...] = field(default=())

    def __post_init__(self) -> None:
        self.parts = _parts(self.ops)


def run(ops: tuple[Op, ...], state: State, table: Sequence[Duration], trips: Sequence[int]) -> None:
    """Runs operations once, loops among them by `repeat`."""
    free, ready, read = state.free, state.ready, state.read
    for op in ops:
        code = op[0]
        if code == REPEAT:
            nest = op[1]
            repeat(nest, trips[nest.trips], state, table, trips)
            continue
        _, engine, d, tile, sources = op
        if code <= FILL or code == DRAIN:
            start = free[engine]
            for source in sources:
                if ready[source] > start:
                    start = ready[source]
            duration = table[d]
            if code == FILL:
                slot = state.slots[tile].pop(0)
                if slot > start:
                    start = slot
                done = free[LOAD] = start + duration.busy
                state.arriving[tile].append(done + duration.latency)
                done += duration.latency
            elif code == DRAIN:
                if ready[tile] > start:
                    start = ready[tile]
                done = free[engine] = start + duration.busy
                done += duration.latency
                free[LOAD] += duration.charge
                slots = state.slots[tile]
                last = read[tile] if read[tile] > done else done
                slots.append(last)
                read[tile] = last
            else:
                if read[tile] > start:
                    start = read[tile]
                done = free[engine] = start + duration.busy
                done += duration.latency
                ready[tile] = done
                if code == ISSUE:
                    read[tile] = done
            for source in sources:
                if done > read[source]:
                    read[source] = done
        elif code == AWAIT:
            ready[tile] = read[tile] = state.arriving[tile].pop(0)
        elif code == RELEASE:
            state.slots[tile].append(max(read[tile], ready[tile]))
        elif code == ACQUIRE:
            ready[tile] = read[tile] = state.slots[tile].pop(0)
        else:
            free[engine] += table[d].busy


def repeat(
    nest: Nest, count: int, state: State, table: Sequence[Duration], trips: Sequence[int]
) -> None:
    """Runs a loop `count` times: until a state comes back, then in whole periods."""
    ops, parts = nest.ops, nest.parts
    seen: dict[tuple[object, ...], tuple[int, tuple[int, ...]]] = {}
    done = 0
    while done < count:
        if count - done > 1:
            key, clocks = _shape(parts, state)
            before = seen.get(key)
            if before is not None:
                period = done - before[0]
                times = (count - done) // period
                if times:
                    _shift(parts, state, [
                        times * (now - then) for now, then in zip(clocks, before[1], strict=True)
                    ])  # fmt: skip
                    done += times * period
                for _ in range(count - done):
                    run(ops, state, table, trips)
                return
            seen[key] = (done, clocks)
        run(ops, state, table, trips)
        done += 1


def _shape(parts: tuple[Part, ...], state: State) -> tuple[tuple[object, ...], tuple[int, ...]]:
    """The state relative to each part's clock, and the clocks.

    A fixed time that no engine of the part can still wait for counts as the past.
    """
    shape: list[object] = []
    clocks: list[int] = []
    free, ready, read = state.free, state.ready, state.read
    for part in parts:
        clock = free[part.engines[0]]
        past = clock
        for engine in part.engines:
            time = free[engine]
            past = time if time < past else past
            shape.append(time - clock)
        for tile in part.written:
            shape.append(ready[tile] - clock)
            shape.append(read[tile] - clock)
        for tile in part.slotted:
            for slot in state.slots[tile]:
                shape.append(slot - clock)
            shape.append(None)
            for arrival in state.arriving[tile]:
                shape.append(arrival - clock)
        for tile in part.fixed:
            shape.append(ready[tile] - clock if ready[tile] > past else None)
            shape.append(read[tile] - clock)
        clocks.append(clock)
    return tuple(shape), tuple(clocks)


def _shift(parts: tuple[Part, ...], state: State, by: list[int]) -> None:
    for part, delta in zip(parts, by, strict=True):
        for engine in part.engines:
            state.free[engine] += delta
        for tile in part.written:
            state.ready[tile] += delta
            state.read[tile] += delta
        for tile in part.slotted:
            state.slots[tile] = [slot + delta for slot in state.slots[tile]]
            state.arriving[tile] = [arrival + delta for arrival in state.arriving[tile]]
        for tile in part.fixed:
            state.read[tile] += delta


def _parts(ops: tuple[Op, ...]) -> tuple[Part, ...]:
    """Groups engines and tiles that some operation of the body names together."""
    group: dict[tuple[str, int], tuple[str, int]] = {}

    def root(node: tuple[str, int]) -> tuple[str, int]:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    moved: set[int] = set()
    slotted: set[int] = set()
    for op in _flat(ops):
        code, engine, _, tile, sources = op
        nodes = [("tile", t) for t in sources]
        if code != PAUSE:
            nodes.append(("tile", tile))
        if code in (ISSUE, ACCUMULATE, FILL, DRAIN, PAUSE):
            nodes.append(("engine", engine))
        if code == DRAIN:
            nodes.append(("engine", LOAD))
        first = root(nodes[0])
        for node in nodes[1:]:
            group[root(node)] = first
        if code != PAUSE:
            moved.add(tile)
        if code in (FILL, AWAIT, RELEASE, ACQUIRE, DRAIN):
            slotted.add(tile)
    parts: dict[tuple[str, int], tuple[list[int], list[int], list[int]]] = {}
    for node in sorted(group):
        engines, written, fixed = parts.setdefault(root(node), ([], [], []))
        kind, number = node
        if kind == "engine":
            engines.append(number)
        elif number in moved:
            written.append(number)
        else:
            fixed.append(number)
    return tuple(
        Part(tuple(e), tuple(w), tuple(t for t in w if t in slotted), tuple(f))
        for e, w, f in parts.values()
        if e
    )


def _flat(ops: tuple[Op, ...]) -> list[Op]:
    found: list[Op] = []
    for op in ops:
        found.extend(_flat(op[1].ops) if op[0] == REPEAT else (op,))
    return found
