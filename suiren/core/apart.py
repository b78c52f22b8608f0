"""Time of a grid whose tiles begin anew and differ in length: each goes to the core free first.

A GPU deals thread blocks that way. A tile that begins when all before it has left its core takes
a time of its own, whatever the others do; so every length is timed once, and the tiles are
handed out in their order. Waves would wait for their longest tile; nothing waits here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

#: As many rounds of tiles as this at the end are dealt one by one; those before fill all cores.
DEALT_ROUNDS = 8

Trips = tuple[int, ...]
Runs = tuple[tuple[int, Trips], ...]


def tile_times(runs: Runs, timed: Callable[[Trips], int]) -> dict[Trips, int]:
    """The time of every length. Where three lengths lie on a line, those between them do too."""
    found: dict[Trips, int] = {}

    def of(trips: Trips) -> int:
        if trips not in found:
            found[trips] = timed(trips)
        return found[trips]

    wanted = sorted({trips for _, trips in runs})
    at = _uneven(wanted)
    alike: dict[Trips, list[Trips]] = {}
    for trips in wanted:
        alike.setdefault(trips[:at] + trips[at + 1 :], []).append(trips)
    for line in alike.values():
        _fill(line, at, of, found)
    return found


def _uneven(wanted: list[Trips]) -> int:
    """The first place in which the lengths differ."""
    for at, values in enumerate(zip(*wanted, strict=True)):
        if len(set(values)) > 1:
            return at
    return 0


def _fill(line: list[Trips], at: int, of: Callable[[Trips], int], found: dict[Trips, int]) -> None:
    """Times the ends and the middle; halves what is not even, to a thousandth."""
    first, last = of(line[0]), of(line[-1])
    if len(line) < 3:
        return
    half = len(line) // 2
    span = line[-1][at] - line[0][at]

    def between(trips: Trips) -> int:
        return first + (last - first) * (trips[at] - line[0][at]) // span

    middle = of(line[half])
    if abs(between(line[half]) - middle) * 1000 <= middle:
        for trips in line[1:-1]:
            found.setdefault(trips, between(trips))
        return
    _fill(line[: half + 1], at, of, found)
    _fill(line[half:], at, of, found)


def dealt(runs: Runs, times: dict[Trips, int], again: int, slots: int) -> int:
    """When the last tile ends: `runs` of equal tiles, dealt `again` times over, to `slots`."""
    tiles = sum(count for count, _ in runs)
    work = sum(count * times[trips] for count, trips in runs)
    late = min(again, -(-DEALT_ROUNDS * slots // tiles))
    free = [(again - late) * work // slots] * slots
    for _ in range(late):
        for count, trips in runs:
            free = _deal(free, count, times[trips])
    return free[-1]


def _deal(free: list[int], count: int, time: int) -> list[int]:
    """Slots, the one free first in front, after `count` equal tiles."""
    while count:
        ready = bisect_left(free, free[0] + time) or len(free)
        if ready == len(free) and count > len(free):
            rounds = count // len(free)
            free = [at + rounds * time for at in free]
            count -= rounds * len(free)
            continue
        taken = min(ready, count)
        free = sorted([*free[taken:], *(at + time for at in free[:taken])])
        count -= taken
    return free
