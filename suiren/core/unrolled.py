"""The definition of a program's time: every operation of every iteration, one by one.

Slow and plain on purpose; `loop.py` must give the same picoseconds. It also records when each
operation ran, which is what pictures are drawn from.

An operation starts when its engine is free (engines work in order), its sources are ready and
its destination is no longer in use. A load needs a free slot besides, a wait takes the oldest
arrival, a store frees its slot when it is done. Loads and stores together take their times of
the way to memory, and no load starts before what they took.
A fresh tile begins when everything before it is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from suiren.core.loop import (
    ACCUMULATE,
    ACQUIRE,
    AWAIT,
    BEGIN,
    DRAIN,
    ENGINES,
    FILL,
    ISSUE,
    MEMORY,
    PAUSE,
    RELEASE,
    REPEAT,
    Duration,
    Op,
)


@dataclass(frozen=True, slots=True)
class Ran:
    """One operation: engine by name, its times in ps, and which operation of the text it was."""

    engine: str
    start: int
    end: int
    arrives: int
    op: Op


class Definition:
    """A core at work."""

    def __init__(self, buffers: Sequence[int], start: int = 0) -> None:
        self.engine_free = dict.fromkeys(range(len(ENGINES)), start)
        self.ready = dict.fromkeys(range(len(buffers)), start)
        self.in_use_until = dict.fromkeys(range(len(buffers)), start)
        self.free_slots = {t: deque([start] * n) for t, n in enumerate(buffers)}
        self.under_way: dict[int, deque[int]] = {t: deque() for t in range(len(buffers))}
        self.ran: list[Ran] = []

    def run(
        self, ops: tuple[Op, ...], table: Sequence[Duration], trips: Sequence[int], record: int = 0
    ) -> None:
        """Runs operations, loops by iterating; records the first `record` of them."""
        for op in iterations(ops, trips):
            self.step(op, table, record)

    def step(self, op: Op, table: Sequence[Duration], record: int = 0) -> None:
        """One operation."""
        code, engine, d, tile, sources = op
        if code == AWAIT:
            self.ready[tile] = self.in_use_until[tile] = self.under_way[tile].popleft()
            return
        if code == RELEASE:
            self.free_slots[tile].append(max(self.ready[tile], self.in_use_until[tile]))
            return
        if code == ACQUIRE:
            self.ready[tile] = self.in_use_until[tile] = self.free_slots[tile].popleft()
            return
        duration = table[d]
        if code == BEGIN:
            start = self.end() + duration.busy
            self.engine_free = dict.fromkeys(self.engine_free, start)
            return
        needs = [self.engine_free[engine], *(self.ready[s] for s in sources)]
        if code in (ISSUE, ACCUMULATE):
            needs.append(self.in_use_until[tile])
        elif code == FILL:
            needs += [self.free_slots[tile].popleft(), self.engine_free[MEMORY]]
        elif code == DRAIN:
            needs.append(self.ready[tile])
        start = max(needs)
        end = start + duration.busy
        arrives = end + duration.latency
        self.engine_free[engine] = end
        if len(self.ran) < record:
            self.ran.append(Ran(ENGINES[engine], start, end, arrives, op))
        if code == PAUSE:
            return
        if code == ISSUE:
            self.ready[tile] = self.in_use_until[tile] = arrives
        elif code == ACCUMULATE:
            self.ready[tile] = arrives
        elif code == FILL:
            self.under_way[tile].append(arrives)
            self.engine_free[MEMORY] += duration.busy
        elif code == DRAIN:
            self.engine_free[MEMORY] += duration.charge
            self.in_use_until[tile] = max(self.in_use_until[tile], arrives)
            self.free_slots[tile].append(self.in_use_until[tile])
        for source in sources:
            self.in_use_until[source] = max(self.in_use_until[source], arrives)

    def times(self) -> dict[str, int]:
        """Every time by the name it has in compiled bodies."""
        named = {f"e{e}": time for e, time in self.engine_free.items()}
        named |= {f"w{t}": time for t, time in self.ready.items()}
        named |= {f"r{t}": time for t, time in self.in_use_until.items()}
        for letter, queues in (("s", self.free_slots), ("a", self.under_way)):
            for t, queue in queues.items():
                named |= {f"{letter}{t}_{i}": time for i, time in enumerate(queue)}
        return named

    def end(self) -> int:
        """When all is done."""
        slots = [s[-1] for s in self.free_slots.values() if s]
        return max(
            *self.engine_free.values(), *self.ready.values(), *self.in_use_until.values(), *slots, 0
        )


def iterations(ops: tuple[Op, ...], trips: Sequence[int]) -> Iterator[Op]:
    """Every operation in the order in which it is issued."""
    for op in ops:
        if op[0] == REPEAT:
            for _ in range(trips[op[2]]):
                yield from iterations(op[1], trips)
        else:
            yield op
