"""A rank's step in as few pieces as its time needs.

Ops that follow each other on one stream, with nothing to wait for in between, are one chain:
when the last of them ends depends on two numbers only. With host times h and durations c,

    end = max(start + c_1 + … + c_n,  max_i (h_i + c_i + … + c_n))

which is what a queue does op by op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from suiren.events.queue import GRAPH, HOST, HOST_WAIT, KERNELS, OP, RECORD, SYNC, WAIT, Cost


@dataclass(frozen=True, slots=True)
class Chain:
    """Ops of one engine of one stream, in order."""

    stream: int
    engine: int
    host_ps: int
    """What the host spends to issue them."""
    total_ps: int
    """Launches and work of all ops."""
    tail_ps: int
    """The latest end if the stream were free: max over ops of host time so far and what follows,
    counted from the host's time before the first."""
    first: int
    """Index of its first event."""
    parts: tuple[tuple[int, int, int, int, Cost], ...]
    """(event index, call, context, host time before it starts, cost) of each op."""


@dataclass(frozen=True, slots=True)
class Meet:
    """A collective in which ranks that are walked apart meet."""

    stream: int
    call: int
    context: int
    host_ps: int
    event: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A record, a wait or a synchronisation."""

    kind: int
    what: int
    stream: int


@dataclass(frozen=True, slots=True)
class OnHost:
    """What the host computes itself."""

    stream: int
    call: int
    context: int
    cost: Cost
    event: int


Token = Chain | Meet | Mark | OnHost
Row = tuple[int, int, int, int, int]


def tokens_of(
    rows: Iterable[Row], cost_of: Callable[[int], Cost], meets: Callable[[int], bool], issue_ps: int
) -> list[Token]:
    """The pieces of a step. `meets` tells the calls in which walked ranks meet."""
    return list(_Reader(cost_of, meets, issue_ps).read(rows))


class _Reader:
    def __init__(
        self, cost_of: Callable[[int], Cost], meets: Callable[[int], bool], issue_ps: int
    ) -> None:
        self.cost_of, self.meets, self.issue_ps = cost_of, meets, issue_ps
        self.chain: list[tuple[int, int, int, int, Cost]] = []
        self.where = (0, KERNELS)
        self.host_ps = 0
        self.in_graph = False

    def read(self, rows: Iterable[Row]) -> Iterator[Token]:
        for index, (kind, what, context, stream, value) in enumerate(rows):
            if kind == OP:
                yield from self._op(index, what, context, stream)
            elif kind == GRAPH:
                self.host_ps += self.issue_ps if value else 0
                self.in_graph = bool(value)
            elif kind in (SYNC, RECORD, WAIT, HOST_WAIT):
                yield from self._close()
                yield Mark(kind, what, stream)
        yield from self._close()

    def _op(self, index: int, call: int, context: int, stream: int) -> Iterator[Token]:
        if self.meets(call):
            yield from self._close()
            yield Meet(stream, call, context, self.issue_ps, index)
            return
        cost = self.cost_of(call)
        if cost.engine == HOST:
            yield from self._close()
            yield OnHost(stream, call, context, cost, index)
            return
        runs = bool(cost.busy_ps or cost.launch_ps)
        if runs and self.chain and self.where != (stream, cost.engine):
            yield from self._close()
        self.host_ps += 0 if self.in_graph else self.issue_ps
        if runs:
            self.where = (stream, cost.engine)
            self.chain.append((index, call, context, self.host_ps, cost))

    def _close(self) -> Iterator[Token]:
        if self.chain or self.host_ps:
            total, tail = 0, 0
            for _, _, _, host, cost in reversed(self.chain):
                total += cost.busy_ps + cost.launch_ps
                tail = max(tail, host + total)
            first = self.chain[0][0] if self.chain else -1
            yield Chain(*self.where, self.host_ps, total, tail, first, tuple(self.chain))
        self.chain, self.host_ps = [], 0
