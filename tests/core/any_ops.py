"""Random timed programs that keep the protocol of tiles, for the law jump = unrolled."""

from __future__ import annotations

from hypothesis import strategies as st

from suiren.core.loop import (
    ACCUMULATE,
    ACQUIRE,
    AWAIT,
    BEGIN,
    DRAIN,
    FILL,
    ISSUE,
    LOAD,
    MATRIX,
    PAUSE,
    RELEASE,
    REPEAT,
    SPECIAL,
    STORE,
    VECTOR,
    Duration,
    Op,
)


@st.composite
def bodies(draw: st.DrawFn, tiles: int, table: int, depth: int, trips: list[int]) -> tuple[Op, ...]:
    """A body that leaves every tile's slots as it found them.

    Loaded tiles (first half) are filled once and given back; the others are engine tiles, some
    acquired and drained.
    """
    loaded = draw(st.lists(st.integers(0, tiles // 2 - 1), unique=True, max_size=tiles // 2))
    written = draw(st.lists(st.integers(tiles // 2, tiles - 1), unique=True, max_size=tiles))
    d = st.integers(0, table - 1)
    ops: list[Op] = [(FILL, LOAD, draw(d), t, ()) for t in loaded]
    ops += [(AWAIT, 0, 0, t, ()) for t in loaded]
    drained = [t for t in written if draw(st.booleans())]
    ops += [(ACQUIRE, 0, 0, t, ()) for t in drained]
    if depth and draw(st.booleans()):
        free = bodies(tiles, table, depth - 1, trips).filter(
            lambda b: not _uses(b, loaded) and not _uses(b, drained)
        )
        inner = draw(free)
        trips.append(draw(st.integers(1, 40)))
        ops.append((REPEAT, inner, len(trips) - 1))
    for t in written:
        sources = draw(st.lists(st.sampled_from([*loaded, *written]), unique=True, max_size=3))
        if draw(st.booleans()):
            sources = [s for s in sources if s != t]
            ops.append((ACCUMULATE, MATRIX, draw(d), t, tuple(sources)))
        else:
            engine = draw(st.sampled_from([VECTOR, SPECIAL, MATRIX]))
            ops.append((ISSUE, engine, draw(d), t, tuple(sources)))
    if draw(st.booleans()):
        ops.append((PAUSE, draw(st.sampled_from([LOAD, VECTOR])), draw(d), 0, ()))
    ops += [(RELEASE, 0, 0, t, ()) for t in loaded]
    ops += [(DRAIN, STORE, draw(d), t, ()) for t in drained]
    return tuple(ops)


def _uses(ops: tuple[Op, ...], tiles: list[int]) -> bool:
    return any(_uses(op[1], tiles) if op[0] == REPEAT else op[3] in tiles for op in ops)


@st.composite
def programs(draw: st.DrawFn) -> tuple[tuple[Op, ...], list[Duration], list[int], list[int]]:
    """Operations, durations, trip counts and slots of each tile."""
    tiles = draw(st.integers(2, 6))
    buffers = draw(st.lists(st.integers(1, 4), min_size=tiles, max_size=tiles))
    small = st.integers(0, 50)
    table = [
        Duration(draw(st.integers(0, 200)), draw(small), draw(st.sampled_from([0, 0, 7, 40])))
        for _ in range(6)
    ]
    trips: list[int] = []
    body = draw(bodies(tiles, len(table), 2, trips))
    trips.append(draw(st.integers(1, 300)))
    if draw(st.booleans()):
        body = ((BEGIN, 0, draw(st.integers(0, len(table) - 1)), 0, ()), *body)
    return body, table, trips, buffers
