"""Streams: in-order queues that a host fills and one device empties.

The host needs some time to issue each op and runs ahead of the device until it waits. An
op starts when it was issued, its stream is free and its launch is done. Streams of one
device share its engines: kernels of different streams run one after the other; copies over
the host link and collectives run beside them, one at a time on each kind of link. Ops of a
graph are issued together: the host spends the time of one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from suiren.events.span import Span

#: Launches a driver takes before it makes the host wait.
MAX_IN_FLIGHT = 1024

OP, SYNC, RECORD, WAIT, HOST_WAIT, GRAPH = 0, 3, 4, 5, 6, 8

#: Engines of one device that work beside each other: kernels, copies over the host link,
#: collectives over the links of the node, collectives over the network between nodes.
KERNELS, COPIES, LINKS, NETWORK = 0, 1, 2, 3
#: The host's own processors: what they compute, the host cannot issue ops beside.
HOST = 4
#: Number of the stream on which spans of the host stand; no stream of a script has it.
HOST_STREAM = 0xFFFF


@dataclass(frozen=True, slots=True)
class Cost:
    """How long one op occupies a device, and what bounds it. Picoseconds."""

    busy_ps: int
    launch_ps: int
    why: str
    engine: int = KERNELS


@dataclass(frozen=True, slots=True)
class Lag:
    """How far each queue's end lies after the host's clock when a step begins."""

    engine_ps: tuple[tuple[int, int], ...] = ()
    """(engine, end after the host's now), sorted; only what lies in the future."""
    stream_ps: tuple[tuple[int, int], ...] = ()
    event_ps: tuple[tuple[int, int], ...] = ()
    in_flight: tuple[int, ...] = ()


@dataclass
class Queues:
    """The state of all queues: absolute picoseconds."""

    issue_ps: int
    """Host time to issue one op."""
    host_ps: int = 0
    engine_ps: dict[int, int] = field(default_factory=dict)
    """device << 2 | engine -> when it is free."""
    stream_ps: dict[int, int] = field(default_factory=dict)
    """stream -> when its last op ends."""
    done_ps: dict[int, int] = field(default_factory=dict)
    """stream -> when its last op ended, whatever the stream waits for since."""
    event_ps: dict[int, int] = field(default_factory=dict)
    """event -> when it was reached."""
    in_flight: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_IN_FLIGHT))
    """Ends of the last ops issued, oldest first."""
    in_graph: bool = False
    """Ops come from a graph that was issued as one."""
    _end_of_ops: int = 0
    """When the last of the graph's ops so far ends."""

    def lag(self) -> Lag:
        """The state relative to the host's clock: equal lags lead to equal futures."""
        now = self.host_ps
        return Lag(
            _ahead(self.engine_ps, now),
            _ahead(self.stream_ps, now),
            _ahead(self.event_ps, now),
            tuple(t - now for t in self.in_flight if t > now),
        )

    def end_ps(self) -> int:
        """When everything issued so far is done."""
        return max((self.host_ps, *self.stream_ps.values()))

    def run(
        self,
        rows: Sequence[tuple[int, int, int, int, int]],
        cost_of: Callable[[int], Cost],
        spans: list[Span] | None = None,
    ) -> None:
        """Takes the events of a step, in the order the host issued them.

        `rows` are (kind, what, context, stream, value). Spans are appended where asked for.
        """
        for index, (kind, what, context, stream, value) in enumerate(rows):
            if kind == OP:
                self._op(index, what, context, stream, cost_of(what), spans)
            elif kind == SYNC:
                self.host_ps = max(self.host_ps, self._device_end(stream >> 16))
            elif kind == RECORD:
                self.event_ps[what] = max(self.stream_ps.get(stream, 0), self.host_ps)
            elif kind == WAIT:
                reached = self.event_ps.get(what, 0)
                self.stream_ps[stream] = max(self.stream_ps.get(stream, 0), reached)
            elif kind == HOST_WAIT:
                self.host_ps = max(self.host_ps, self.event_ps.get(what, 0))
            elif kind == GRAPH:
                self._graph(bool(value))

    def _graph(self, begins: bool) -> None:
        """A graph takes one place among the launches that a driver holds, at its last op."""
        if begins:
            self.host_ps += self.issue_ps
            if len(self.in_flight) == MAX_IN_FLIGHT:
                self.host_ps = max(self.host_ps, self.in_flight[0])
        elif self.in_graph:
            self.in_flight.append(max(self.host_ps, self._end_of_ops))
        self.in_graph = begins
        self._end_of_ops = 0

    def _on_host(
        self, index: int, what: int, context: int, stream: int, cost: Cost,
        spans: list[Span] | None,
    ) -> None:  # fmt: skip
        """The host computes: whatever was issued goes on, nothing more is issued meanwhile."""
        end = self.host_ps + cost.busy_ps
        if spans is not None:
            spans.append(host_span(index, what, context, stream, self.host_ps, end, cost.why))
        self.host_ps = end

    def _device_end(self, device: int) -> int:
        return max((t for s, t in self.stream_ps.items() if s >> 16 == device), default=0)

    def _op(
        self,
        index: int,
        what: int,
        context: int,
        stream: int,
        cost: Cost,
        spans: list[Span] | None,
    ) -> None:
        if cost.engine == HOST:
            self._on_host(index, what, context, stream, cost, spans)
            return
        if not self.in_graph:
            self.host_ps += self.issue_ps
        if cost.busy_ps == 0 and cost.launch_ps == 0:
            return
        if len(self.in_flight) == MAX_IN_FLIGHT and not self.in_graph:
            self.host_ps = max(self.host_ps, self.in_flight[0])
        unit = stream >> 16 << 2 | cost.engine
        free, engine = self.stream_ps.get(stream, 0), self.engine_ps.get(unit, 0)
        start = max(free, engine, self.host_ps)
        busy = start + cost.launch_ps
        end = busy + cost.busy_ps
        if spans is not None:
            last = max(self.done_ps.get(stream, 0), engine)
            held = min(start, max(last, free))
            if held > last:
                spans.append(Span("idle", -1, context, stream, last, held, "event", index))
            if start > held:
                spans.append(Span("idle", -1, context, stream, held, start, "host", index))
            if cost.launch_ps:
                spans.append(Span("launch", what, context, stream, start, busy, "launch", index))
            spans.append(Span("op", what, context, stream, busy, end, cost.why, index))
        self.done_ps[stream] = self.stream_ps[stream] = self.engine_ps[unit] = end
        if self.in_graph:
            self._end_of_ops = max(self._end_of_ops, end)
        else:
            self.in_flight.append(end)


def host_span(
    index: int, what: int, context: int, stream: int, start: int, end: int, why: str
) -> Span:
    """What the host computes, on the track of the host that the stream's device sits in."""
    return Span("op", what, context, stream | HOST_STREAM, start, end, why, index)


def _ahead(times_ps: dict[int, int], now: int) -> tuple[tuple[int, int], ...]:
    """What lies after the host's clock, relative to it."""
    return tuple(sorted((k, t - now) for k, t in times_ps.items() if t > now))
