"""Exact time of a loop nest: simulated until it moves evenly, then jumped.

Every operation starts at the maximum of some earlier times and adds a constant. As long as
each of these maxima is won by the same operand, the times after an iteration are a linear
function of those before, and once they grow by the same amounts twice they go on doing so.
How long the winners stay the same is known from the distances in each maximum and how these
change; that many iterations are added at once. So a loop costs a few iterations for each
regime it passes through (filling its buffers, then settling), whatever its trip count, and the
result equals `unrolled.py`, which runs every iteration, to the picosecond.

A body is compiled to straight-line Python over plain integers: which slot a load takes is known
when it is written down, because every iteration leaves the queues as long as it found them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import sub
from typing import Any

LOAD, STORE, MATRIX, VECTOR, SPECIAL, MEMORY = range(6)
ENGINES = ("load", "store", "matrix", "vector", "special", "memory")
#: MEMORY is no engine that is given work: it counts what loads and stores together have taken of
#: the way to memory, and no load starts before that. Idle time of loads makes room for stores.

# Codes of timed operations. `d` is a place in the table of durations, `t` a tile.
ISSUE = 0  # (ISSUE, engine, d, t, sources)      writes t, reads sources
ACCUMULATE = 1  # (ACCUMULATE, engine, d, t, sources)  the engine forwards its own sums
FILL = 2  # (FILL, LOAD, d, t, sources)          starts to fill the next slot
AWAIT = 3  # (AWAIT, 0, 0, t, ())                 the oldest load is the content
RELEASE = 4  # (RELEASE, 0, 0, t, ())
ACQUIRE = 5  # (ACQUIRE, 0, 0, t, ())
DRAIN = 6  # (DRAIN, STORE, d, t, sources)        copies out, then frees the slot
REPEAT = 7  # (REPEAT, ops, trips)               `trips` is a place in the table of trip counts
PAUSE = 8  # (PAUSE, engine, d, 0, ())             keeps an engine busy
BEGIN = 9  # (BEGIN, 0, d, 0, ())                  waits until all before is over, then `d`

Op = tuple[Any, ...]
State = tuple[int, ...]
#: Longest period that is looked for.
MAX_PERIOD = 12


@dataclass(frozen=True, slots=True)
class Duration:
    """How long an operation keeps its engine, and how much later its result is there. ps."""

    busy: int
    latency: int = 0
    charge: int = 0
    """What a store takes of the way to memory, which it shares with the loads."""


def flat(table: Sequence[Duration]) -> list[int]:
    """Durations as the compiled bodies take them: three numbers each."""
    return [n for d in table for n in (d.busy, d.latency, d.charge)]


@dataclass(slots=True)
class Watch:
    """Distances in every maximum of some iterations, in order, and how often they were jumped."""

    distances: list[int] = field(default_factory=list)
    jumps: list[int] = field(default_factory=list)


Body = Callable[[State, Sequence[int], Sequence[int], Watch | None], State]


@dataclass(frozen=True, slots=True)
class Nest:
    """A compiled loop body: the times it works on, by name, and one iteration of it."""

    names: tuple[str, ...]
    body: Body
    source: str

    def fresh(self, start: int = 0) -> State:
        """Everything free at `start`."""
        return (start,) * len(self.names)


def repeat(
    nest: Nest, count: int, state: State, durations: Sequence[int], trips: Sequence[int],
    watch: Watch | None = None,
) -> State:  # fmt: skip
    """The state after `count` iterations. `watch` records the distances on the way."""
    body = nest.body
    moves: list[State] = []
    done = 0
    while done < count:
        before, state = state, body(state, durations, trips, watch)
        done += 1
        left = count - done
        if left < 3:
            continue
        moves.append(tuple(map(sub, state, before)))
        period = _period(moves)
        if period and left > 2 * period:
            state, jumped = _jump(nest, period, left, state, durations, trips, watch)
            done += jumped
            moves.clear()
    return state


def _period(moves: list[State]) -> int:
    """After how many iterations the state has moved the same way again; 0 if it has not."""
    last = moves[-1]
    for period in range(1, min(MAX_PERIOD, len(moves) // 2) + 1):
        if last == moves[-1 - period] and moves[-period:] == moves[-2 * period : -period]:
            return period
    return 0


def _jump(
    nest: Nest, period: int, left: int, state: State, durations: Sequence[int],
    trips: Sequence[int], watch: Watch | None,
) -> tuple[State, int]:  # fmt: skip
    """Two watched periods, then as many at once as leave every maximum with its winner."""
    first, second = Watch(), Watch()
    middle = state
    for _ in range(period):
        middle = nest.body(middle, durations, trips, first)
    after = middle
    for _ in range(period):
        after = nest.body(after, durations, trips, second)
    if watch is not None:
        watch.distances += first.distances + second.distances
        watch.jumps += first.jumps + second.jumps
    move = tuple(map(sub, after, middle))
    even = move == tuple(map(sub, middle, state)) and first.jumps == second.jumps
    if not even or len(first.distances) != len(second.distances):
        return after, 2 * period
    times = (left - 2 * period) // period
    for was, now in zip(first.distances, second.distances, strict=True):
        if was != now:
            if now == 0 or (was > 0) != (now > 0):
                times = 0
                break
            if (now > was) != (now > 0):  # the loser is catching up
                times = min(times, abs(now) // abs(now - was))
    if times > 0:
        after = tuple(a + times * m for a, m in zip(after, move, strict=True))
        if watch is not None:
            watch.distances += [
                now + times * (now - was)
                for was, now in zip(first.distances, second.distances, strict=True)
            ]
    if watch is not None:
        watch.jumps.append(times)
    return after, 2 * period + times * period
