"""A pipeline's schedule: when each stage computes which micro-batch, exactly.

Stages work through fixed orders of forward and backward passes and wait for messages. That is
max-plus linear: once the passes of some rounds come back shifted alike, they do so for ever, and
the rest is a multiplication. Times are integer picoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from suiren.units import PS_PER_S

#: (stage, chunk, micro-batch, forward?) of one pass.
Pass = tuple[int, int, int, bool]


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of the passes: `forward_s[stage][chunk]`."""

    forward_s: tuple[tuple[float, ...], ...]
    backward_s: tuple[tuple[float, ...], ...]
    send_s: float = 0.0
    """A message between neighbours."""
    weight_share: float = 0.0
    """Part of a backward pass that only weights wait for; `zero-bubble` moves it."""

    @property
    def count(self) -> int:
        """Stages."""
        return len(self.forward_s)

    @property
    def chunks(self) -> int:
        """Chunks of a stage."""
        return len(self.forward_s[0])

    def work_s(self, stage: int) -> float:
        """What a stage computes for one micro-batch."""
        return sum(self.forward_s[stage]) + sum(self.backward_s[stage])


@dataclass(frozen=True, slots=True)
class Drawn:
    """One pass on the timeline."""

    stage: int
    chunk: int
    micro_batch: int
    kind: str
    """`F`, `B`, or `W` for a weight's gradient computed apart."""
    start_s: float
    end_s: float


def pipeline_s(stages: Stages, micro_batches: int, schedule: str) -> float:
    """Seconds from the first pass to the end of the last."""
    if stages.count == 1 and stages.chunks == 1:
        return micro_batches * stages.work_s(0)
    return _total_ps(stages, micro_batches, schedule) / PS_PER_S


@lru_cache(maxsize=16384)
def _total_ps(stages: Stages, micro_batches: int, schedule: str) -> int:
    p, v = stages.count, stages.chunks
    unit = p if v > 1 else 1
    rounds, rest = divmod(micro_batches, unit)
    depth = 3 if v > 1 else p
    if schedule == "gpipe" and v == 1 and rounds > 4:  # a flow line: every round adds alike
        two, three = (_simulated(stages, n * unit, schedule).end_ps for n in (3, 4))
        return three + (rounds - 4) * (three - two)
    few = 4 * depth + 4
    while schedule != "zero-bubble" and not rest and few + depth < rounds:
        found = _simulated(stages, few * unit, schedule)
        cycle = _cycle(found.done, stages, unit, few, depth)
        if cycle is not None:
            length, added = cycle
            more = (rounds - few) % length
            end = found.end_ps
            if more:
                end = _simulated(stages, (few + more) * unit, schedule).end_ps
            return end + (rounds - few - more) // length * added
        few *= 2
    return _simulated(stages, micro_batches, schedule).end_ps


def _cycle(
    done: dict[Pass, int], stages: Stages, unit: int, rounds: int, depth: int
) -> tuple[int, int] | None:
    """(rounds, picoseconds) after which all passes of `depth` rounds come back, shifted alike."""
    last = rounds - depth - 1
    passes = [(s, c, k) for s in range(stages.count) for c in range(stages.chunks)
              for k in range((last - depth) * unit, last * unit)]  # fmt: skip
    for length in range(1, depth + 1):
        s, c, k = passes[0]
        back = length * unit
        added = done[s, c, k, True] - done[s, c, k - back, True]
        if all(done[s, c, k, way] - done[s, c, k - back, way] == added
               for s, c, k in passes for way in (True, False)):  # fmt: skip
            return length, added
    return None


def timeline(stages: Stages, micro_batches: int, schedule: str) -> list[Drawn]:
    """Every pass of every stage, in the order of their starts."""
    found = _simulated(stages, micro_batches, schedule, True)
    return sorted(found.drawn, key=lambda d: d.start_s)


def orders(p: int, v: int, m: int, schedule: str) -> list[list[Pass]]:
    """The passes of each stage in the order it takes them."""
    return [list(_order(s, p, v, m, schedule)) for s in range(p)]


def _order(s: int, p: int, v: int, m: int, schedule: str) -> Iterator[Pass]:
    total = m * v
    if schedule == "gpipe":
        ahead = total
    elif v > 1:
        ahead = total if m == p else min(total, (p - s - 1) * 2 + (v - 1) * p)
    else:
        ahead = min(total, p - s - 1)

    def nth(k: int, forward: bool) -> Pass:
        if v == 1:
            return (s, 0, k, forward)
        chunk, batch = k % (p * v) // p, k // (p * v) * p + k % p
        return (s, chunk if forward else v - 1 - chunk, batch, forward)

    for k in range(ahead):
        yield nth(k, True)
    for k in range(ahead, total):
        yield nth(k, True)
        yield nth(k - ahead, False)
    for k in range(total - ahead, total):
        yield nth(k, False)


def _ps(rows: Sequence[Sequence[float]]) -> list[list[int]]:
    return [[round(value * PS_PER_S) for value in row] for row in rows]


@dataclass(frozen=True, slots=True)
class _Ran:
    """A schedule that ran: when it ended, when each pass did, and the passes to draw."""

    end_ps: int
    done: dict[Pass, int]
    drawn: list[Drawn]


def _simulated(stages: Stages, m: int, schedule: str, drawn: bool = False) -> _Ran:
    """Runs every stage as far as its messages allow, until all are done."""
    p, v = stages.count, stages.chunks
    forward, backward = _ps(stages.forward_s), _ps(stages.backward_s)
    send = round(stages.send_s * PS_PER_S)
    weight = stages.weight_share if schedule == "zero-bubble" else 0.0
    lists = orders(p, v, m, schedule)
    at, clock, owed = [0] * p, [0] * p, [0] * p
    done: dict[Pass, int] = {}
    found: list[Drawn] = []
    waiting = list(range(p))
    while waiting:
        still: list[int] = []
        for s in waiting:
            order, now = lists[s], clock[s]
            while at[s] < len(order):
                one = order[at[s]]
                _, c, _, is_forward = one
                ready = _ready(one, p, v, done, send)
                if ready is None:
                    break
                took = forward[s][c] if is_forward else backward[s][c]
                if not is_forward and weight:
                    later = round(took * weight)
                    owed[s] += later
                    took -= later
                if owed[s] and ready > now:  # a stage that waits computes weights' gradients
                    filled = min(owed[s], ready - now)
                    owed[s] -= filled
                    if drawn:
                        found.append(_draw(one, "W", now, now + filled))
                start = max(now, ready)
                now = start + took
                done[one] = now
                if drawn:
                    found.append(_draw(one, "F" if is_forward else "B", start, now))
                at[s] += 1
            clock[s] = now
            if at[s] < len(order):
                still.append(s)
        waiting = still
    for s in range(p):
        clock[s] += owed[s]
    return _Ran(max(clock), done, found)


def _ready(one: Pass, p: int, v: int, done: dict[Pass, int], send: int) -> int | None:
    """When the message that a pass needs arrives; None while it is not sent."""
    s, c, k, is_forward = one
    if is_forward:
        if s > 0:
            need: Pass = (s - 1, c, k, True)
        elif c > 0:
            need = (p - 1, c - 1, k, True)
        else:
            return 0
    elif s < p - 1:
        need = (s + 1, c, k, False)
    elif c < v - 1:
        need = (0, c + 1, k, False)
    else:
        return done.get((s, c, k, True))
    sent = done.get(need)
    return None if sent is None else sent + (send if need[0] != s else 0)


def _draw(one: Pass, kind: str, start: int, end: int) -> Drawn:
    return Drawn(one[0], one[1], one[2], kind, start / PS_PER_S, end / PS_PER_S)
