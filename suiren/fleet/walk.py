"""One rank walks through its step; where it needs what others have not told yet, it stops.

The rules are those of `suiren.events.queue`: the host issues in order and runs ahead, a stream
is in order, engines are shared. A collective with other walked ranks occupies its stream from
its arrival on; its end is known when the last rank has arrived. Until then the rank goes on
with what does not depend on it.

Where a library moves and adds data on the chip's own cores, kernels beside a collective have
fewer of them: what the engines bound takes `slowed` more of the time that both run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from suiren.events.queue import (
    HOST_WAIT,
    KERNELS,
    LINKS,
    NETWORK,
    RECORD,
    SYNC,
    Cost,
    host_span,
)
from suiren.events.span import Span
from suiren.fleet.meeting import Meeting
from suiren.fleet.tokens import Chain, Mark, Meet, OnHost, Token

Meets = Callable[[int], tuple[Meeting, int]]
"""By call: the meeting that a rank comes to next, and picoseconds it takes there."""


class Walker:
    """A rank's queues, and how far it has come. All times in picoseconds."""

    def __init__(
        self, rank: int, tokens: Sequence[Token], next_meeting: Meets, slowed: float = 0.0
    ) -> None:
        self.rank, self.tokens, self.next_meeting = rank, tokens, next_meeting
        self.slowed = slowed
        self.beside: list[tuple[int, int]] = []
        """From when to when collectives run, those that may still run beside kernels."""
        self.is_patient = True
        """Waits to learn when collectives beside its kernels run; False if all ranks do."""
        self.at = 0
        self.host_ps = 0
        self.stream_ps: dict[int, int] = defaultdict(int)
        self.done_ps: dict[int, int] = defaultdict(int)
        """When a stream's last op ended, whatever it waits for since."""
        self.engine_ps: dict[int, int] = defaultdict(int)
        self.event_ps: dict[int, int] = {}
        self.open_streams: dict[int, list[Meeting]] = {}
        """Streams that go on when these meetings are over."""
        self.open_events: dict[int, list[Meeting]] = {}
        self.spans: list[Span] | None = None

    def begin(self) -> None:
        """Starts the next step."""
        self.at = 0

    @property
    def is_done(self) -> bool:
        """True when the whole step is issued."""
        return self.at == len(self.tokens)

    def end_ps(self) -> int:
        """When everything issued so far is done, open meetings left out."""
        for stream in list(self.open_streams):
            self._settle(stream)
        return max((self.host_ps, *self.stream_ps.values()))

    def advance(self) -> bool:
        """Goes on until the end or until something is missing; True if it got further."""
        before = self.at
        tokens = self.tokens
        while self.at < len(tokens):
            token = tokens[self.at]
            if isinstance(token, Chain):
                done = self._chain(token)
            elif isinstance(token, Meet):
                done = self._meet(token)
            elif isinstance(token, OnHost):
                done = self._on_host(token)
            else:
                done = self._mark(token)
            if not done:
                break
            self.at += 1
        return self.at > before

    # ---- what is open

    def _settle(self, stream: int) -> bool:
        """True if the stream's end is known; takes in what has ended since."""
        meetings = self.open_streams.get(stream)
        if meetings is None:
            return True
        if not all(m.is_over for m in meetings):
            return False
        self.stream_ps[stream] = max(self.stream_ps[stream], *(m.end_ps for m in meetings))
        del self.open_streams[stream]
        return True

    def _event_known(self, event: int) -> bool:
        meetings = self.open_events.get(event)
        if meetings is None:
            return True
        if not all(m.is_over for m in meetings):
            return False
        self.event_ps[event] = max(self.event_ps[event], *(m.end_ps for m in meetings))
        del self.open_events[event]
        return True

    # ---- pieces

    def _chain(self, chain: Chain) -> bool:
        stream = chain.stream
        if not chain.parts:
            self.host_ps += chain.host_ps
            return True
        if not self._settle(stream):
            return False
        unit = stream >> 16 << 2 | chain.engine
        free = max(self.stream_ps[stream], self.engine_ps[unit])
        end = max(free + chain.total_ps, self.host_ps + chain.tail_ps)
        if self.slowed and chain.engine == KERNELS and not self._beside_known(free):
            return False
        shared = any(a < end for a, _ in self.beside) and chain.engine == KERNELS
        if self.spans is not None:
            last = max(self.done_ps[stream], self.engine_ps[unit])
            if last < free:
                context = chain.parts[0][2]
                self._add("idle", -1, context, stream, last, free, "event", chain.first)
        if shared or self.spans is not None:
            end = self._one_by_one(chain, free)
        if self.slowed and chain.engine in (LINKS, NETWORK):
            self.beside.append((max(free, end - chain.total_ps), end))
        self.host_ps += chain.host_ps
        self.stream_ps[stream] = self.engine_ps[unit] = self.done_ps[stream] = end
        return True

    def _beside_known(self, free: int) -> bool:
        """Is it known which collectives run from then on? What ended before is forgotten."""
        if self.is_patient and any(m.is_collective and not m.is_over for m in self._open()):
            return False
        self.beside = [(a, b) for a, b in self.beside if b > free]
        return True

    def _open(self) -> list[Meeting]:
        return [m for meetings in self.open_streams.values() for m in meetings]

    def _busy_ps(self, cost: Cost, start: int) -> int:
        """What an op takes from a moment on, beside what collectives run then."""
        if not self.beside or cost.engine != KERNELS or cost.why not in ("matrix", "vector"):
            return cost.busy_ps
        end = start + cost.busy_ps
        both = sum(max(0, min(end, b) - max(start, a)) for a, b in self.beside)
        return cost.busy_ps + round(min(both, cost.busy_ps) * self.slowed)

    def _meet(self, token: Meet) -> bool:
        if not self._settle(token.stream):
            return False
        self.host_ps += token.host_ps
        arrival = max(self.stream_ps[token.stream], self.host_ps)
        meeting, takes_ps = self.next_meeting(token.call)
        if self.slowed and meeting.is_collective:
            meeting.told.append(lambda over: self.beside.append((over.start_ps, over.end_ps)))
        if self.spans is not None:
            meeting.told.append(lambda over: self._met(token, arrival, over))
        self.open_streams[token.stream] = [meeting]
        meeting.arrive(self.rank, arrival, takes_ps)
        return True

    def _on_host(self, token: OnHost) -> bool:
        end = self.host_ps + token.cost.busy_ps
        if self.spans is not None:
            self.spans.append(host_span(token.event, token.call, token.context, token.stream,
                                        self.host_ps, end, token.cost.why))  # fmt: skip
        self.host_ps = end
        return True

    def _mark(self, mark: Mark) -> bool:
        if mark.kind == RECORD:
            self.event_ps[mark.what] = max(self.stream_ps[mark.stream], self.host_ps)
            self.open_events.pop(mark.what, None)
            if not self._settle(mark.stream):
                self.open_events[mark.what] = list(self.open_streams[mark.stream])
            else:
                self.event_ps[mark.what] = max(self.stream_ps[mark.stream], self.host_ps)
            return True
        if mark.kind == SYNC:
            device = mark.stream >> 16
            streams = [s for s in self.stream_ps if s >> 16 == device]
            if not all(map(self._settle, streams)):
                return False
            self.host_ps = max([self.host_ps, *(self.stream_ps[s] for s in streams)])
            return True
        if mark.kind == HOST_WAIT:
            if not self._event_known(mark.what):
                return False
            self.host_ps = max(self.host_ps, self.event_ps.get(mark.what, 0))
            return True
        return self._wait(mark)

    def _wait(self, mark: Mark) -> bool:
        """A stream waits for an event, whose time may still be open."""
        reached = self.event_ps.get(mark.what, 0)
        if not self._event_known(mark.what):
            open_ = self.open_streams.setdefault(mark.stream, [])
            open_.extend(m for m in self.open_events[mark.what] if m not in open_)
        else:
            reached = self.event_ps.get(mark.what, 0)
        self.stream_ps[mark.stream] = max(self.stream_ps[mark.stream], reached)
        return True

    # ---- the record

    def _one_by_one(self, chain: Chain, free: int) -> int:
        """When the chain ends, its ops taken one after the other; they are written if asked for."""
        stream, now = chain.stream, free
        for index, call, context, host_ps, cost in chain.parts:
            start = max(now, self.host_ps + host_ps)
            busy = start + cost.launch_ps
            end = busy + self._busy_ps(cost, busy)
            if self.spans is not None:
                if start > now:
                    self._add("idle", -1, context, stream, now, start, "host", index)
                if cost.launch_ps:
                    self._add("launch", call, context, stream, start, busy, "launch", index)
                self._add("op", call, context, stream, busy, end, cost.why, index)
            now = end
        return now

    def _met(self, token: Meet, arrival: int, over: Meeting) -> None:
        if over.start_ps > arrival:
            self._add("idle", -1, token.context, token.stream, arrival, over.start_ps, "peer",
                      token.event)  # fmt: skip
        self._add("op", token.call, token.context, token.stream, over.start_ps, over.end_ps,
                  "collective", token.event)  # fmt: skip

    def _add(
        self, kind: str, call: int, context: int, stream: int, start: int, end: int, why: str,
        event: int,
    ) -> None:  # fmt: skip
        assert self.spans is not None
        self.spans.append(Span(kind, call, context, stream, start, end, why, event))
