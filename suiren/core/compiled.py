"""Turns a loop body of timed operations into straight-line Python.

Names in the compiled code: `e0` an engine's next free time, `w3` when tile 3's content is
there, `r3` when its last use is over, `s3_0` … when its free slots may be taken, `a3_0` …
when its loads arrive. A maximum of times is a chain of comparisons; where a watch is kept,
each comparison also records by how far it was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

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
    Nest,
    Op,
    repeat,
)


@lru_cache(maxsize=4096)
def compiled(ops: tuple[Op, ...], buffers: tuple[int, ...]) -> Nest:
    """The body as a function; `buffers` are the slots of each tile, all free when it starts."""
    queues = _Queues(dict(enumerate(buffers)), {})
    return _compile(ops, queues)


class _Queues:
    """How many free slots and loads under way each tile has at some point of the text."""

    def __init__(self, slots: dict[int, int], arriving: dict[int, int]) -> None:
        self.slots, self.arriving = slots, arriving

    def key(self) -> tuple[object, ...]:
        return tuple(sorted(self.slots.items())), tuple(sorted(self.arriving.items()))


def _touched(ops: Sequence[Op]) -> tuple[set[int], set[int], set[int]]:
    """Engines, tiles, and tiles whose slots are used."""
    engines: set[int] = set()
    tiles: set[int] = set()
    slotted: set[int] = set()
    for op in ops:
        if op[0] == REPEAT:
            for known, more in zip((engines, tiles, slotted), _touched(op[1]), strict=True):
                known |= more
            continue
        code, engine, _, tile, sources = op
        if code == BEGIN:
            engines |= set(range(len(ENGINES)))
            continue
        if code not in (AWAIT, RELEASE, ACQUIRE):
            engines.add(engine)
        if code == DRAIN:
            engines.add(MEMORY)
        if code == FILL:
            engines.add(MEMORY)
        if code != PAUSE:
            tiles |= {tile, *sources}
        if code in (FILL, AWAIT, RELEASE, ACQUIRE, DRAIN):
            slotted.add(tile)
    return engines, tiles, slotted


class _Writer:
    """Collects the lines of one body; knows which local name holds which time."""

    def __init__(self, ops: tuple[Op, ...], queues: _Queues) -> None:
        engines, tiles, slotted = _touched(ops)
        self.slots = {
            t: [f"s{t}_{i}" for i in range(queues.slots.get(t, 0))] for t in sorted(slotted)
        }
        self.arriving = {
            t: [f"a{t}_{i}" for i in range(queues.arriving.get(t, 0))] for t in sorted(slotted)
        }
        self.order = [f"e{e}" for e in sorted(engines)]
        for t in sorted(tiles):
            self.order += [f"w{t}", f"r{t}"]
        self.names = [*self.order, *self._queued()]
        self.lines: list[str] = []
        self.nests: list[Nest] = []
        self.temps = 0

    def _queued(self) -> list[str]:
        return [n for queues in (self.slots, self.arriving) for q in queues.values() for n in q]

    def current(self) -> list[str]:
        """The names that hold the state now, in the order of `names`."""
        return [*self.order, *self._queued()]

    def temp(self) -> str:
        self.temps += 1
        return f"t{self.temps}"

    def put(self, line: str) -> None:
        self.lines.append(line)

    def latest(self, into: str, first: str, *others: str) -> None:
        """`into` becomes the largest; every comparison can be watched."""
        self.put(f"{into} = {first}")
        for other in dict.fromkeys(others):
            if other != first:
                self.put(f"if watch is not None: watch.distances.append({into} - {other})")
                self.put(f"if {other} > {into}: {into} = {other}")


def _compile(ops: tuple[Op, ...], queues: _Queues) -> Nest:
    writer = _Writer(ops, queues)
    names = tuple(writer.names)
    for op in ops:
        if op[0] == REPEAT:
            _inner(writer, op)
        else:
            _WRITE[op[0]](writer, op)
    if len(writer.current()) != len(names):
        raise ValueError("a loop body must leave as many free slots as it found")
    plain = _function(writer, names, watched=False)
    watched = _function(writer, names, watched=True)
    scope = {"repeat": repeat, **{f"nest{i}": n for i, n in enumerate(writer.nests)}}
    source = (
        f"{plain}\n{watched}\ndef body(state, d, trips, watch):\n"
        "    if watch is None: return plain(state, d, trips)\n"
        "    return watched(state, d, trips, watch)\n"
    )
    exec(compile(source, "<loop body>", "exec"), scope)
    return Nest(names, scope["body"], source)  # type: ignore[arg-type]


def _function(writer: _Writer, names: tuple[str, ...], watched: bool) -> str:
    comma = "," if len(names) == 1 else ""
    lines = [f"({', '.join(names)}{comma}) = state"]
    for line in writer.lines:
        if line.startswith("if watch is not None: "):
            if watched:
                lines.append(line.removeprefix("if watch is not None: "))
        elif line:
            lines.append(line if watched else line.replace(", watch)", ", None)"))
    lines.append(f"return ({', '.join(writer.current())}{comma})")
    head = "def watched(state, d, trips, watch):" if watched else "def plain(state, d, trips):"
    return "\n    ".join([head, *lines])


def _inner(writer: _Writer, op: Op) -> None:
    """A loop inside: its part of the state goes through `repeat`."""
    _, ops, trips = op
    queues = _Queues(
        {t: len(q) for t, q in writer.slots.items()},
        {t: len(q) for t, q in writer.arriving.items()},
    )
    nest = _compile(ops, queues)
    number = len(writer.nests)
    writer.nests.append(nest)
    given: list[str] = []
    taken: list[str] = []
    for name in nest.names:
        queue = {"s": writer.slots, "a": writer.arriving}.get(name[0])
        if queue is None:
            given.append(name)
            taken.append(name)
            continue
        tile, place = (int(n) for n in name[1:].split("_"))
        given.append(queue[tile][place])
        new = writer.temp()
        taken.append(new)
    # names are taken over only after all were given
    for name, new in zip(nest.names, taken, strict=True):
        queue = {"s": writer.slots, "a": writer.arriving}.get(name[0])
        if queue is not None:
            tile, place = (int(n) for n in name[1:].split("_"))
            queue[tile][place] = new
    comma = "," if len(given) == 1 else ""
    writer.put(
        f"({', '.join(taken)}{comma}) = repeat(nest{number}, trips[{trips}], "
        f"({', '.join(given)}{comma}), d, trips, watch)"
    )


def _read(writer: _Writer, sources: Sequence[int], done: str) -> None:
    for s in dict.fromkeys(sources):
        writer.latest(f"r{s}", f"r{s}", done)


def _issue(writer: _Writer, op: Op) -> None:
    code, engine, d, tile, sources = op
    writer.latest("t", f"e{engine}", *(f"w{s}" for s in sources), f"r{tile}")
    writer.put(f"e{engine} = t + d[{3 * d}]")
    writer.put(f"w{tile} = e{engine} + d[{3 * d + 1}]")
    if code == ISSUE:
        writer.put(f"r{tile} = w{tile}")
    done = writer.temp()
    if sources:
        writer.put(f"{done} = w{tile}")
        _read(writer, sources, done)


def _fill(writer: _Writer, op: Op) -> None:
    _, engine, d, tile, sources = op
    slot = writer.slots[tile].pop(0)
    writer.latest("t", f"e{engine}", f"e{MEMORY}", *(f"w{s}" for s in sources), slot)
    writer.put(f"e{engine} = t + d[{3 * d}]")
    writer.put(f"e{MEMORY} += d[{3 * d}]")
    arrival = writer.temp()
    writer.put(f"{arrival} = e{engine} + d[{3 * d + 1}]")
    writer.arriving[tile].append(arrival)
    _read(writer, sources, arrival)


def _await(writer: _Writer, op: Op) -> None:
    tile = op[3]
    writer.put(f"w{tile} = r{tile} = {writer.arriving[tile].pop(0)}")


def _release(writer: _Writer, op: Op) -> None:
    tile = op[3]
    slot = writer.temp()
    writer.latest(slot, f"r{tile}", f"w{tile}")
    writer.slots[tile].append(slot)


def _acquire(writer: _Writer, op: Op) -> None:
    tile = op[3]
    writer.put(f"w{tile} = r{tile} = {writer.slots[tile].pop(0)}")


def _drain(writer: _Writer, op: Op) -> None:
    _, engine, d, tile, sources = op
    writer.latest("t", f"e{engine}", *(f"w{s}" for s in sources), f"w{tile}")
    writer.put(f"e{engine} = t + d[{3 * d}]")
    done, slot = writer.temp(), writer.temp()
    writer.put(f"{done} = e{engine} + d[{3 * d + 1}]")
    writer.put(f"e{MEMORY} += d[{3 * d + 2}]")
    writer.latest(slot, f"r{tile}", done)
    writer.put(f"r{tile} = {slot}")
    writer.slots[tile].append(slot)
    _read(writer, sources, done)


def _pause(writer: _Writer, op: Op) -> None:
    _, engine, d, _, _ = op
    writer.put(f"e{engine} += d[{3 * d}]")


def _begin(writer: _Writer, op: Op) -> None:
    writer.latest("t", *writer.current())
    writer.put(f"{' = '.join(n for n in writer.order if n[0] == 'e')} = t + d[{3 * op[2]}]")


_WRITE = {ISSUE: _issue, ACCUMULATE: _issue, FILL: _fill, AWAIT: _await, RELEASE: _release,
          ACQUIRE: _acquire, DRAIN: _drain, PAUSE: _pause, BEGIN: _begin}  # fmt: skip
