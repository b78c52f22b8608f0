"""A step as rows of work, in a form that alternatives can rewrite and time again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from suiren.events.queue import OP, Cost, Queues
from suiren.hw.spec import Card
from suiren.mapper.families import work_of
from suiren.mapper.price import price_work
from suiren.mapper.step import MAX_REPEATS, cost_of
from suiren.mapper.work import Work
from suiren.trace.call import Call
from suiren.trace.program import Kind, Program, Step
from suiren.units import PS_PER_S


@dataclass(frozen=True, slots=True)
class Ask:
    """One op of a step: its call, what it works on, and where it stands."""

    call: Call
    work: Work
    phase: str
    allocations: tuple[int, ...]
    """An identity for each tensor of the call, in order; 0 for none."""
    context: int
    stream: int


@dataclass(frozen=True)
class Asked:
    """A step's ops and synchronisations in order."""

    asks: tuple[Ask | tuple[int, int, int, int, int], ...]
    """An op, or the row of any other event that queues understand."""
    lasting: frozenset[int]
    """Allocations that outlive activations: weights, gradients, optimizer state."""
    last_read: dict[int, int]
    """allocation -> index of the last op that touches it; missing if it outlives the step."""

    def ops(self) -> list[Ask]:
        """The ops alone."""
        return [ask for ask in self.asks if isinstance(ask, Ask)]


def asked_of(program: Program, step: Step) -> Asked:
    """Follows allocations through a step, so that reused memory gets its own identity."""
    works: dict[int, Work] = {}
    identity: dict[int, int] = {}
    fresh = 1 << 32
    asks: list[Ask | tuple[int, int, int, int, int]] = []
    lasting: set[int] = set()
    last: dict[int, int] = {}
    freed: set[int] = set()
    rows = step.events.tolist()
    storages = step.storages.tolist()
    starts = [row[4] for row in rows if row[0] == Kind.OP]
    ends = iter([*starts[1:], len(storages)])
    for row in rows:
        kind, what, context, stream, value = row
        if kind == Kind.ALLOC:
            fresh += 1
            identity[what] = fresh
        elif kind == Kind.FREE:
            freed.add(identity.get(what, what))
            identity.pop(what, None)
        elif kind == Kind.OP:
            ids = tuple(identity.get(n, n) for n in storages[value : next(ends)])
            work = works.get(what)
            if work is None:
                work = works[what] = work_of(program.calls[what])
            phase = program.contexts[context].phase
            for i in ids:
                last[i] = len(asks)
            if phase == "optimizer":
                lasting.update(ids)
            asks.append(Ask(program.calls[what], work, phase, ids, context, stream))
        elif kind != Kind.ENTER:
            asks.append(row)
    lasting.update(n for n, label in program.labels.items() if label.kind == "weights")
    return Asked(tuple(asks), frozenset(lasting), {k: v for k, v in last.items() if k in freed})


def period_s(asked: Asked, card: Card) -> float:
    """Seconds from one end of the step to the next, steps following each other."""
    costs: dict[Work, Cost] = {}
    table: list[Cost] = []
    rows: list[tuple[int, int, int, int, int]] = []
    for ask in asked.asks:
        if not isinstance(ask, Ask):
            rows.append(ask)
            continue
        cost = costs.get(ask.work)
        if cost is None:
            cost = costs[ask.work] = cost_of(price_work(ask.work, card))
        rows.append((OP, len(table), ask.context, ask.stream, 0))
        table.append(cost)
    return _settle(rows, table.__getitem__, round(card.host_issue_s * PS_PER_S))


def _settle(
    rows: list[tuple[int, int, int, int, int]], cost: Callable[[int], Cost], issue_ps: int
) -> float:
    queues = Queues(issue_ps=issue_ps)
    last = None
    period = 0
    for _ in range(MAX_REPEATS):
        before = queues.end_ps()
        queues.run(rows, cost)
        period = queues.end_ps() - before
        if (period, queues.lag()) == last:
            break
        last = (period, queues.lag())
    return period / PS_PER_S
