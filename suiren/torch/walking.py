"""Time, power and bytes of a run while it goes on, in a small share of its own time.

Steps are walked in the order they ran, as the answer does at the end; one that repeats is looked
up. A step not seen before is walked once the run has lasted so long that this costs no more
than `SHARE` of it, so a run is slowed by no more than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from suiren.hw.spec import Card
from suiren.mapper.energy import energy_j
from suiren.mapper.step import Clock, Prices, steady_step, under_the_limit
from suiren.report.answer import SPLIT
from suiren.report.batch import batch_of
from suiren.report.split import split
from suiren.report.work import WorkDone
from suiren.trace.call import Call, Tensor
from suiren.trace.program import Kind, Program, Step
from suiren.units import PS_PER_S

#: Most of a run's own time that looking at it may take.
SHARE = 0.005
#: Seconds on one core to walk an event five times, and to price a call not priced before;
#: both from the examples, rounded up.
EVENT_S, CALL_S = 30e-6, 0.5e-3
#: The same of a call whose kernel was never tuned, in a rank that does not price at its end.
TUNED_CALL_S = 8e-3
#: Reasons of spans that keep the card busy.
BUSY = ("matrix", "vector", "memory", "l2", "collective")


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What one distinct step takes once it repeats."""

    seconds: float
    parts_share: dict[str, float]
    energy_j: float
    clock: float
    mfu: float
    samples: int
    tokens: int | None
    received_bytes: float
    sent_bytes: float
    collective_bytes: float

    @property
    def busy_share(self) -> float:
        """Share of the step in which a kernel or a collective ran."""
        return sum(self.parts_share.get(part, 0.0) for part in BUSY)


@dataclass(frozen=True, slots=True)
class Walked:
    """Sums over the steps walked so far, and the step walked last."""

    num_steps: int = 0
    simulated_s: float = 0.0
    last_step_s: float | None = None
    energy_j: float = 0.0
    received_bytes: float = 0.0
    sent_bytes: float = 0.0
    collective_bytes: float = 0.0
    facts: StepFacts | None = None


Read = Callable[[int], Program]


class Walk:
    """Follows a run's steps; `prices_later` says that the answer prices them anyway."""

    def __init__(self, card: Card, prices_later: bool) -> None:
        self.card, self.prices_later = card, prices_later
        self.walked = Walked()
        self.spent_s = 0.0
        """Processor time so far that the run would not have spent otherwise."""
        self._begun_s = 0.0
        self._clock: Clock | None = None
        self._facts: dict[int, StepFacts] = {}
        self._steps: dict[int, Step] = {}
        self._guesses: dict[int, float] = {}
        self._priced: set[int] = set()
        self._last: list[tuple[int, int]] = []
        """Key and picoseconds of the last two steps walked."""

    def go_on(self, order: Sequence[int], read: Read, elapsed_s: float) -> Walked:
        """Walks what has run since, as far as its share of `elapsed_s` lets it.

        `read` gives a distinct step as a program of its own, with calls, contexts and facts.
        """
        self._begun_s = time.thread_time()
        at = self.walked.num_steps
        while at < len(order) and self._has_time(elapsed_s):
            key = order[at]
            if key not in self._facts and not self._look_at(key, read, elapsed_s):
                break
            alike = _run_length(order, at) if self._is_settled(key) else 1
            self._add(key, alike)
            at += alike
        self.spent_s += time.thread_time() - self._begun_s
        return self.walked

    def _has_time(self, elapsed_s: float, more_s: float = 0.0) -> bool:
        used_s = self.spent_s + time.thread_time() - self._begun_s
        return used_s + more_s <= SHARE * elapsed_s

    def _look_at(self, key: int, read: Read, elapsed_s: float) -> bool:
        """Works out a step's facts unless that would last too long."""
        if not self._has_time(elapsed_s, self._guesses.get(key, 0.0)):
            return False
        alone = read(key)
        new = self._new_calls(alone)
        self._guesses[key] = EVENT_S * len(alone.distinct[0].events) + len(new) * (
            CALL_S if self.prices_later else TUNED_CALL_S
        )
        if not self._has_time(elapsed_s, self._guesses[key]):
            return False
        self._price(alone, new)
        self._facts[key] = self._look(key, alone)
        return True

    def _is_settled(self, key: int) -> bool:
        """True where the last two steps were this one and took as long as each other."""
        return len(self._last) == 2 and self._last[0] == self._last[1] and self._last[0][0] == key

    def _new_calls(self, alone: Program) -> set[int]:
        events = alone.distinct[0].events
        return set(events["what"][events["kind"] == Kind.OP].tolist()) - self._priced

    def _price(self, alone: Program, new: set[int]) -> None:
        """Prices calls; tuning that the answer would do at the end costs the run nothing more."""
        if self._clock is None:
            self._clock = Clock(Prices(alone.calls, self.card))
        begun_s = time.thread_time()
        for call in new:
            self._clock.prices.price(call)
        self._priced |= new
        if self.prices_later:
            self.spent_s += CALL_S * len(new) - (time.thread_time() - begun_s)

    def _look(self, key: int, alone: Program) -> StepFacts:
        assert self._clock is not None
        step = self._steps[key] = alone.distinct[0]
        prices = under_the_limit(alone, self._clock.prices, 0)
        found = steady_step(alone, prices, 0)
        seconds = found.period_ps / PS_PER_S
        work, batch = WorkDone(alone, prices, step), batch_of(alone, step)
        parts = {name: s / seconds if seconds else 0.0 for name, s in split(found, SPLIT).items()}
        possible = work.peak_flop_per_s(self.card) * seconds
        return StepFacts(
            seconds, parts, energy_j(work.dynamic_j, seconds, self.card), prices.clock,
            work.model_flop / possible if possible else 0.0, batch.samples, batch.tokens,
            *_moved(alone.calls, work.counts),
        )  # fmt: skip

    def _add(self, key: int, times: int) -> None:
        """Adds a step to the sums; one that is settled so many times at once."""
        assert self._clock is not None
        facts, so_far = self._facts[key], self.walked
        before = self._clock.queues.end_ps()
        self._clock.run(key, self._steps[key])
        lasted_ps = self._clock.queues.end_ps() - before
        self._last = [*self._last[-1:], (key, lasted_ps)]
        seconds = lasted_ps / PS_PER_S
        self.walked = Walked(
            so_far.num_steps + times, so_far.simulated_s + times * seconds, seconds,
            so_far.energy_j + times * facts.energy_j,
            so_far.received_bytes + times * facts.received_bytes,
            so_far.sent_bytes + times * facts.sent_bytes,
            so_far.collective_bytes + times * facts.collective_bytes, facts,
        )  # fmt: skip


def _run_length(order: Sequence[int], at: int) -> int:
    """How many equal numbers stand one after the other from a place on."""
    end = at
    while end < len(order) and order[end] == order[at]:
        end += 1
    return end - at


def _moved(calls: Sequence[Call], counts: dict[int, int]) -> tuple[float, float, float]:
    """Bytes received from the host, sent to it, and asked of collectives."""
    received = sent = asked = 0.0
    for number, times in counts.items():
        call = calls[number]
        size = call.arguments.get("size_bytes")
        source, target = call.arguments.get("src"), call.arguments.get("self")
        if call.op.startswith("eccl::") and isinstance(size, int):
            asked += times * size
        elif call.name == "copy_" and isinstance(source, Tensor) and isinstance(target, Tensor):
            received += times * source.bytes if source.on_host else 0
            sent += times * target.bytes if target.on_host else 0
        elif call.name == "_local_scalar_dense" and isinstance(target, Tensor):
            sent += times * target.itemsize_bytes
    return received, sent, asked
