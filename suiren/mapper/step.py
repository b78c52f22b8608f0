"""A program on a card: when every op of every distinct step runs.

Steps that repeat are simulated once for each state they start in, and that state settles
after one or two of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from suiren.events.queue import COPIES, HOST, KERNELS, LINKS, NETWORK, Cost, Lag, Queues
from suiren.events.span import Span
from suiren.hw.spec import Card
from suiren.mapper.plans import Plans, plans_of
from suiren.mapper.price import Price, price
from suiren.trace.call import Call
from suiren.trace.program import Kind, Program, Step
from suiren.units import PS_PER_S

Rows = list[tuple[int, int, int, int, int]]


class Prices:
    """Prices of calls on one card, each worked out once.

    `like` are prices on another card whose choices of kernels are kept, and whose prices are
    taken for all calls but those in `only`; `clock` is the share of the full clock at which
    the engines run.
    """

    def __init__(
        self, calls: Sequence[Call], card: Card, like: Prices | None = None, clock: float = 1.0,
        only: frozenset[int] | None = None,
    ) -> None:  # fmt: skip
        self.calls = calls
        self.card = card
        self.clock = clock
        self.like, self.only = like, only
        self.plans: Plans = plans_of(card) if like is None else Plans(card, like=like.plans)
        self._prices: dict[int, Price] = {}
        self._costs: dict[int, Cost] = {}

    def price(self, call: int) -> Price:
        """The price of a call, by its number."""
        found = self._prices.get(call)
        others = self.only is not None and call not in self.only
        if found is None and self.like is not None and others:
            found = self._prices[call] = self.like.price(call)
        if found is None:
            found = self._prices[call] = price(self.calls[call], self.card, self.plans)
        return found

    def cost(self, call: int) -> Cost:
        """The same, as picoseconds of a queue."""
        found = self._costs.get(call)
        if found is None:
            found = self._costs[call] = cost_of(self.price(call), self.clock)
        return found


def cost_of(priced: Price, clock: float = 1.0) -> Cost:
    """Picoseconds of a price; what goes over a link has an engine of its own."""
    return Cost(
        round(priced.busy_at(clock) * PS_PER_S),
        round(priced.launch_s * PS_PER_S),
        priced.why,
        _ENGINES.get(priced.family, KERNELS),
    )


_ENGINES = {
    "transfer": COPIES, "collective": LINKS, "collective between nodes": NETWORK, "host": HOST,
}  # fmt: skip


Times = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Memo:
    """What a step did from a given state; times relative to the host's clock at its start."""

    host_ps: int
    engine_ps: Times
    stream_ps: Times
    done_ps: Times
    event_ps: Times
    in_flight: tuple[int, ...]


@dataclass
class Clock:
    """Walks a program's steps on one card, one after the other; repeated steps are looked up."""

    prices: Prices
    queues: Queues = field(init=False)
    _memo: dict[tuple[int, Lag], _Memo] = field(default_factory=dict)
    _rows: dict[int, Rows] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queues = Queues(issue_ps=round(self.prices.card.host_issue_s * PS_PER_S))

    def run(self, key: int, step: Step) -> None:
        """Runs the distinct step number `key`."""
        queues = self.queues
        lag = queues.lag()
        memo = self._memo.get((key, lag))
        now = queues.host_ps
        if memo is None:
            rows = self._rows.get(key)
            if rows is None:
                rows = self._rows[key] = step.events.tolist()
            queues.run(rows, self.prices.cost)
            self._memo[(key, lag)] = _Memo(
                queues.host_ps - now,
                _after(queues.engine_ps, now),
                _after(queues.stream_ps, now),
                _after(queues.done_ps, now),
                _after(queues.event_ps, now),
                tuple(t - now for t in queues.in_flight),
            )
            return
        queues.engine_ps.update((k, t + now) for k, t in memo.engine_ps)
        queues.stream_ps.update((k, t + now) for k, t in memo.stream_ps)
        queues.done_ps.update((k, t + now) for k, t in memo.done_ps)
        queues.event_ps.update((k, t + now) for k, t in memo.event_ps)
        queues.in_flight.extend(t + now for t in memo.in_flight)
        queues.host_ps = now + memo.host_ps


def _after(ends_ps: dict[int, int], now: int) -> Times:
    return tuple((k, t - now) for k, t in ends_ps.items() if t >= now)


@dataclass(frozen=True)
class StepTime:
    """A step in its steady state. Spans start at the step's first picosecond."""

    period_ps: int
    """From one step's end to the next one's, steps following each other."""
    spans: list[Span]
    start_ps: int
    end_ps: int


#: No card is asked to run slower than this.
LEAST_CLOCK = 0.3


def under_the_limit(program: Program, prices: Prices, key: int) -> Prices:
    """The same prices at the clock that keeps a step's average power within the card's limit.

    Engines slow down together; what memory, launches and the host bound is not stretched.
    """
    card = prices.card
    events = program.distinct[key].events
    found = [prices.price(call) for call in events["what"][events["kind"] == Kind.OP].tolist()]
    # kernels run one after the other, so no step is shorter than they are together
    least_s = sum(p.total_s for p in found if p.family not in _ENGINES)
    if least_s and card.idle_w + sum(p.energy_j() for p in found) / least_s <= card.tdp_w:
        return prices
    seconds = steady_step(program, prices, key).period_ps / PS_PER_S
    engine_s = sum(p.engine_s for p in found)

    def power_w(clock: float) -> float:
        time_s = max(seconds, seconds + engine_s * (1 / clock - 1))
        return float(card.idle_w + sum(p.energy_j(clock) for p in found) / time_s)

    if not seconds or power_w(1.0) <= card.tdp_w:
        return prices
    low, high = LEAST_CLOCK, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if power_w(middle) <= card.tdp_w else (low, middle)
    prices.clock = low
    prices._costs.clear()
    return prices


#: After so many repetitions a step's period has settled; it needs two, rarely three.
MAX_REPEATS = 16


def steady_step(program: Program, prices: Prices, key: int) -> StepTime:
    """Repeats one step until nothing changes from one to the next, and records its spans."""
    clock = Clock(prices)
    step = program.distinct[key]
    last = None
    for _ in range(MAX_REPEATS):
        before = clock.queues.end_ps()
        clock.run(key, step)
        state = (clock.queues.end_ps() - before, clock.queues.lag())
        if state == last:
            break
        last = state
    spans: list[Span] = []
    start = clock.queues.end_ps()
    clock.queues.run(step.events.tolist(), prices.cost, spans)
    end = clock.queues.end_ps()
    return StepTime(end - start, spans, start, end)


def step_times_s(program: Program, prices: Prices) -> list[float]:
    """Seconds of every step in the order they ran, warm-up included."""
    clock = Clock(prices)
    times: list[float] = []
    before = 0
    for key in program.order:
        clock.run(key, program.distinct[key])
        end = clock.queues.end_ps()
        times.append((end - before) / PS_PER_S)
        before = end
    return times
