"""The answer: every number a report shows, worked out once from a program and a card."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from suiren.advise.change import Change, changes
from suiren.advise.fit import Fit, fit
from suiren.events.span import Span
from suiren.hw.spec import Card
from suiren.mapper.energy import energy_j
from suiren.mapper.hazard import Hazard, hazards
from suiren.mapper.memory import MemoryUse, Owner, memory_use, peak_bytes
from suiren.mapper.step import Prices, StepTime, steady_step, step_times_s, under_the_limit
from suiren.report.basis import Rested, rests_on
from suiren.report.batch import Batch, batch_of
from suiren.report.split import split
from suiren.report.work import WorkDone
from suiren.trace.program import Program, Step
from suiren.units import PS_PER_S

#: What the time of a step divides into, in the order reports show it.
SPLIT = (
    "matrix", "vector", "memory", "l2", "launch", "collective", "link", "peer", "host work",
    "idle",
)  # fmt: skip


@dataclass(slots=True)
class Row:
    """Time and work of some calls together: of one op, one module or one phase."""

    name: str
    calls: int = 0
    time_s: float = 0.0
    roofline_s: float = 0.0
    flop: float = 0.0
    memory_bytes: float = 0.0
    launches: int = 0
    family: str = ""
    why_s: dict[str, float] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """What bounds most of the row's time."""
        return max(self.why_s, key=lambda part: self.why_s[part], default="")

    @property
    def roofline_share(self) -> float:
        """Roofline time over actual time: 1 is the best any kernel could do."""
        return self.roofline_s / self.time_s if self.time_s else 0.0


@dataclass(frozen=True)
class Answer:
    """What a step takes on a card, and why. Seconds, bytes, FLOP, joules, watts."""

    card: Card
    program: Program
    step: Step
    time: StepTime
    memory: MemoryUse
    peak_bytes: int
    """Highest over the whole run, warm-up included."""
    step_time_s: float
    step_times_s: tuple[float, ...]
    num_warm_up: int
    batch: Batch
    split_s: dict[str, float]
    phases_s: dict[str, float]
    ops: tuple[Row, ...]
    modules: tuple[Row, ...]
    shapes: tuple[Row, ...]
    model_flop: float
    hardware_flop: float
    flop_by_format: dict[str, float]
    peak_flop_per_s: float
    energy_j: float
    approximated: tuple[Row, ...]
    hazards: tuple[Hazard, ...]
    changes: tuple[Change, ...]
    rested: tuple[Rested, ...]
    fit: Fit | None
    clock_share: float = 1.0
    """The engines' clock under the card's power limit, as a share of the full one."""

    @property
    def is_whole(self) -> bool:
        """False where the script ended inside its first step: then times are those so far."""
        return not _is_cut(self.program)

    @property
    def mfu(self) -> float:
        """Model FLOP (nothing computed twice) over what the card could do in the step's time."""
        return self._utilisation(self.model_flop)

    @property
    def hfu(self) -> float:
        """As `mfu`, recomputed activations counted."""
        return self._utilisation(self.hardware_flop)

    def _utilisation(self, flop: float) -> float:
        possible = self.peak_flop_per_s * self.step_time_s
        return flop / possible if possible else 0.0

    @property
    def average_power_w(self) -> float:
        """Energy over time."""
        return self.energy_j / self.step_time_s if self.step_time_s else 0.0

    @property
    def approximated_share(self) -> float:
        """Share of the step in ops whose traffic alone was counted."""
        return (
            sum(r.time_s for r in self.approximated) / self.step_time_s if self.step_time_s else 0.0
        )

    @property
    def fit_sentence(self) -> str:
        """What batch would fit; of the whole step where this one ran out of memory."""
        probed = self.program.facts.get("fit")
        if probed is not None:
            return str(probed["sentence"])
        return "" if self.fit is None else self.fit.sentence

    @property
    def spans(self) -> list[Span]:
        """The spans of the steady step."""
        return self.time.spans


class NothingRan(ValueError):  # noqa: N818 - reads as what it is
    """The script asked nothing of the device."""


def reported_step(program: Program) -> tuple[Step, int]:
    """The steady step and its number in `distinct`; a script without steps is one step."""
    key = program.steady()
    if key is not None:
        return program.distinct[key], key
    if program.rest is not None and program.rest.num_ops:
        program.distinct.append(program.rest)
        program.order.append(len(program.distinct) - 1)
        program.rest = None
        program.facts["cut"] = program.facts.get("outcome", "finished") != "finished"
        return program.distinct[-1], len(program.distinct) - 1
    if program.facts.get("outcome") == "out of memory":
        raise NothingRan("memory ran out before the first op: there is no step to tell of")
    raise NothingRan(
        'the script ran no op on the device: does it move its model and data there (device="cuda")?'
    )


def answer(
    program: Program, card: Card, *, advise: bool = True, among: StepTime | None = None,
    prices: Prices | None = None, batch: Batch | None = None,
) -> Answer:  # fmt: skip
    """Works everything out; raises NothingRan if there is nothing to tell about.

    `among` gives the step of a rank that met others, `prices` those it was walked with, `batch`
    what the ranks read whose work it goes on with.
    """
    step, key = reported_step(program)
    prices = prices or under_the_limit(program, Prices(program.calls, card), key)
    alone = steady_step(program, prices, key)
    time = alone if among is None else among
    seconds = time.period_ps / PS_PER_S
    memory = _at_failure(program, memory_use(program, step))
    batch = batch or batch_of(program, step)
    tables = _Tables(program, prices)
    for span in time.spans:
        tables.add(span)
    work = WorkDone(program, prices, step)
    capacity = int(card.memory_bytes)
    others = [peak_bytes(s) for s in program.distinct if s is not step]
    peak = max([memory.peak_bytes, *others])
    counted = [(program.calls[c], n, prices.price(c)) for c, n in work.counts.items()]
    return Answer(
        card, program, step, time, memory, peak, seconds,
        tuple(step_times_s(program, prices)), program.num_warm_up(), batch,
        split(time, SPLIT), tables.phases_s, _sorted(tables.ops), _sorted(tables.modules),
        _sorted(tables.shapes), work.model_flop, work.flop, work.by_format,
        work.peak_flop_per_s(card),
        energy_j(work.dynamic_j, seconds, card), _sorted(tables.approximated),
        tuple(hazards(counted, card)),
        tuple(changes(program, step, card, memory)) if advise and not _is_cut(program) else (),
        tuple(rests_on(program, key, prices, alone.period_ps / PS_PER_S)) if advise else (),
        None if "out_of_memory" in program.facts or not memory.peak_bytes or not batch.calls
        else fit(memory, capacity, batch.samples, batch.sequence, batch.calls),
        prices.clock,
    )  # fmt: skip


def _is_cut(program: Program) -> bool:
    """True where the script ended inside its first step."""
    return bool(program.facts.get("cut"))


def _at_failure(program: Program, memory: MemoryUse) -> MemoryUse:
    """Where memory ran out in the reported step, its owners are those found at that moment."""
    failure = program.facts.get("out_of_memory")
    if failure is None or failure["allocated_bytes"] < memory.peak_bytes:
        return memory
    owners = tuple(Owner(o["kind"], o["name"], o["bytes"]) for o in failure["owners"])
    return replace(memory, peak_bytes=failure["allocated_bytes"], owners=owners)


def _sorted(rows: dict[str, Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows.values(), key=lambda r: (-r.time_s, r.name)))


class _Tables:
    """Sums of spans by op, by distinct call, by module and by phase."""

    def __init__(self, program: Program, prices: Prices) -> None:
        self.program, self.prices = program, prices
        self.ops: dict[str, Row] = {}
        self.shapes: dict[str, Row] = {}
        self.modules: dict[str, Row] = {}
        self.approximated: dict[str, Row] = {}
        self.phases_s: dict[str, float] = {}
        self._labels: dict[int, tuple[str, str]] = {}

    def add(self, span: Span) -> None:
        seconds = span.duration_ps / PS_PER_S
        if span.kind == "idle":
            return
        context = self.program.contexts[span.context]
        self.phases_s[context.phase] = self.phases_s.get(context.phase, 0.0) + seconds
        name, line = self._label(span.call)
        tables = [
            (self.ops, name),
            (self.shapes, line),
            (self.modules, context.path or "(outside)"),
        ]
        if self.prices.price(span.call).approximated:
            tables.append((self.approximated, name))
        for table, key in tables:
            row = table.get(key)
            if row is None:
                row = table[key] = Row(key)
            self._count(row, span, seconds)

    def _label(self, call: int) -> tuple[str, str]:
        found = self._labels.get(call)
        if found is None:
            asked = self.program.calls[call]
            found = self._labels[call] = (asked.op, str(asked))
        return found

    def _count(self, row: Row, span: Span, seconds: float) -> None:
        row.time_s += seconds
        row.why_s[span.why] = row.why_s.get(span.why, 0.0) + seconds
        if span.kind != "op":
            return
        priced = self.prices.price(span.call)
        row.calls += 1
        row.family = priced.family
        row.roofline_s += priced.roofline_s
        row.flop += sum(priced.flop.values())
        row.memory_bytes += priced.memory_bytes
        row.launches += priced.launches
