"""The answer for many ranks: what the step takes, what each kind of rank does, who meets how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from suiren.fleet.placed import place_of_call, placed, taken_by
from suiren.fleet.ranks import Group, RankProgram, int_of, is_collective
from suiren.fleet.together import Together, together
from suiren.hw.cluster import Cluster
from suiren.mapper.energy import energy_j
from suiren.mapper.memory import MemoryUse, memory_use, peak_bytes
from suiren.mapper.step import Prices, StepTime, under_the_limit
from suiren.report.answer import SPLIT, Answer, answer, reported_step
from suiren.report.batch import Batch, batch_of
from suiren.report.split import split
from suiren.report.work import WorkDone
from suiren.trace.program import Kind, Program, Step
from suiren.units import PS_PER_S


@dataclass(frozen=True)
class RankRow:
    """A walked rank's step."""

    rank: int
    ranks: tuple[int, ...]
    """The ranks that did the same work."""
    split_s: dict[str, float]
    peak_bytes: int
    memory: MemoryUse
    program: Program = field(repr=False)

    @property
    def busy_s(self) -> float:
        """Time in kernels, launches included."""
        return sum(self.split_s[p] for p in ("matrix", "vector", "memory", "l2", "launch"))


@dataclass
class CollectiveRow:
    """Collectives of one kind on one group of the reported rank, in one step."""

    name: str
    group: str
    ranks: int
    algorithm: str
    bound: str
    count: int = 0
    bytes: float = 0.0
    time_s: float = 0.0
    bus_bytes: float = 0.0

    @property
    def bus_bytes_per_s(self) -> float:
        """Bus bandwidth as nccl-tests counts it."""
        return self.bus_bytes / self.time_s if self.time_s else 0.0


@dataclass(frozen=True)
class RanksAnswer:
    """What a step of many ranks takes on a cluster."""

    cluster: Cluster
    world_size: int
    step_time_s: float
    main: Answer
    """The answer of the rank that is reported in full."""
    rank: int
    rows: tuple[RankRow, ...]
    num_walked: int
    collectives: tuple[CollectiveRow, ...]
    model_flop: float
    """Of all ranks."""
    energy_j: float
    model_parallel: int
    """Ranks that share one sample, by the names of the groups; 1 if none does."""
    batch: Batch
    """What one copy of the model reads in a step, from the ranks that read token ids if any do."""
    classes: tuple[RankProgram, ...] = field(repr=False)
    times: dict[int, StepTime] = field(repr=False)
    """By rank, for those whose spans were kept."""

    @property
    def mfu(self) -> float:
        """Model FLOP of all ranks over what their cards could do in the step."""
        possible = self.world_size * self.main.peak_flop_per_s * self.step_time_s
        return self.model_flop / possible if possible else 0.0

    @property
    def copies(self) -> int:
        """Ranks that read data of their own."""
        return max(1, self.world_size // self.model_parallel)

    @property
    def samples(self) -> int:
        """Samples of one step, all ranks together."""
        return self.batch.samples * self.copies

    @property
    def tokens(self) -> int | None:
        """Token positions of one step, all ranks together."""
        tokens = self.batch.tokens
        return None if tokens is None else tokens * self.copies

    @property
    def notes(self) -> tuple[str, ...]:
        """What was taken for granted when the kinds of ranks were found."""
        said = self.classes[0].program.facts.get("ranks", {}).get("notes", ())
        return tuple(dict.fromkeys(map(str, said)))

    @property
    def peak_bytes(self) -> int:
        """Of the rank that needs most."""
        return max(row.peak_bytes for row in self.rows)


def answer_for_ranks(
    classes: Sequence[RankProgram], cluster: Cluster, *, advise: bool = True
) -> RanksAnswer:
    """Works everything out; `classes` are the ranks that differ, the lowest rank first.

    Raises NothingRan, ClusterTooSmall, RanksPart and TooManyWalkers.
    """
    settled = [RankProgram(c.ranks, placed(c, cluster)) for c in classes]
    steps = [reported_step(c.program)[0] for c in settled]
    prices = _PricesByProgram(cluster)
    found = together(settled, cluster, prices.of)
    one = _reported(found)
    time = found.times[one.rank]
    reads = [batch_of(ran.program, step) for ran, step in zip(settled, steps, strict=True)]
    own = reads[settled.index(one)]
    batch = next((read for read in reads if read.tokens), own)
    full = answer(
        one.program, cluster.card, advise=advise, among=time, prices=prices.of(one.program),
        batch=batch if own.tokens is None else own,
    )
    works = [
        WorkDone(c.program, prices.of(c.program), step)
        for c, step in zip(settled, steps, strict=True)
    ]
    seconds = found.period_ps / PS_PER_S
    counts = [len(c.ranks) for c in settled]
    joules = sum(
        n * energy_j(work.dynamic_j, seconds, cluster.card)
        for n, work in zip(counts, works, strict=True)
    )
    return RanksAnswer(
        cluster, sum(counts), seconds, full, one.rank, _rank_rows(settled, steps, found),
        len(found.walked), _collective_rows(one, steps[settled.index(one)], cluster),
        sum(n * w.model_flop for n, w in zip(counts, works, strict=True)), joules,
        _model_parallel(settled), batch,
        tuple(settled), found.times,
    )  # fmt: skip


class _PricesByProgram:
    """Prices by program, each at the clock that its card's power limit leaves."""

    def __init__(self, cluster: Cluster) -> None:
        self.card = cluster.card
        self._prices: dict[int, Prices] = {}

    def of(self, program: Program) -> Prices:
        found = self._prices.get(id(program))
        if found is None:
            prices = Prices(program.calls, self.card)
            key = reported_step(program)[1]
            found = self._prices[id(program)] = under_the_limit(program, prices, key)
        return found


def _reported(found: Together) -> RankProgram:
    """The class whose rank is busiest, of those that ran: what it does bounds the others."""

    def busy_ps(ran: RankProgram) -> int:
        time = found.times.get(ran.rank)
        spans = [] if time is None else time.spans
        return sum(s.duration_ps for s in spans if s.kind != "idle" and s.why != "collective")

    classes = {id(w.ran): w.ran for w in found.walked if "made_from" not in w.ran.program.facts}
    return max(classes.values(), key=lambda ran: (busy_ps(ran), -ran.rank))


def _rank_rows(
    classes: Sequence[RankProgram], steps: Sequence[Step], found: Together
) -> tuple[RankRow, ...]:
    memory: dict[int, tuple[int, MemoryUse]] = {}
    for ran, step in zip(classes, steps, strict=True):
        use = memory_use(ran.program, step)
        peaks = [peak_bytes(s) for s in ran.program.distinct]
        memory[id(ran)] = max([use.peak_bytes, *peaks]), use
    rows = []
    for walked in found.walked:
        time = found.times.get(walked.rank)
        if time is not None:
            peak, use = memory[id(walked.ran)]
            rows.append(
                RankRow(
                    walked.rank,
                    walked.ran.ranks,
                    _split(time, found.period_ps),
                    peak,
                    use,
                    walked.ran.program,
                )
            )
    return tuple(rows)


def _split(time: StepTime, period_ps: int) -> dict[str, float]:
    return split(StepTime(period_ps, time.spans, time.start_ps, time.end_ps), SPLIT)


def _bus_share(name: str, ranks: int) -> float:
    """Bytes that pass a card's links for each byte of the buffer, as nccl-tests counts them."""
    if name == "all_reduce":
        return 2 * (ranks - 1) / ranks
    return (ranks - 1) / ranks if name in ("all_gather", "reduce_scatter", "all_to_all") else 1.0


def _collective_rows(ran: RankProgram, step: Step, cluster: Cluster) -> tuple[CollectiveRow, ...]:
    rows: dict[tuple[str, int, str, str], CollectiveRow] = {}
    for kind, what, *_ in step.events.tolist():
        call = ran.program.calls[what] if kind == Kind.OP else None
        if call is None or not is_collective(call):
            continue
        place = place_of_call(call, ran.groups, ran.rank, cluster)
        taken = taken_by(call, place, cluster)
        number = int_of(call, "group")
        key = (call.name, number, taken.algorithm, taken.bound)
        row = rows.get(key)
        if row is None:
            group = ran.groups[number]
            size = 2 if call.name in ("send", "recv") else len(group.ranks)
            name = _group_name(group)
            row = rows[key] = CollectiveRow(call.name, name, size, taken.algorithm, taken.bound)
        size_bytes = int_of(call, "size_bytes")
        row.count += 1
        row.bytes += size_bytes
        row.time_s += taken.seconds
        row.bus_bytes += _bus_share(call.name, max(2, row.ranks)) * size_bytes
    return tuple(sorted(rows.values(), key=lambda r: (-r.time_s, r.name, r.group)))


def _group_name(group: Group) -> str:
    name = group.description.removeprefix("mesh_")
    return "world" if name == "default_pg" else name if name != "undefined" else "group"


#: Names of mesh dimensions along which ranks share samples.
_SHARING = {
    "tp",
    "pp",
    "cp",
    "sp",
    "mp",
    "tensor",
    "pipeline",
    "model",
    "context",
    "tensor_parallel",
}


def _model_parallel(classes: Sequence[RankProgram]) -> int:
    sizes: dict[str, int] = {}
    for ran in classes:
        for group in ran.groups:
            for name in (_group_name(group), *group.dimensions):
                if name.lower() in _SHARING:
                    sizes[name] = max(sizes.get(name, 1), len(group.ranks))
        pairs = any(c.name in ("send", "recv") for c in ran.program.calls if is_collective(c))
        if pairs and not sizes.keys() & {"pp", "pipeline"}:
            whole = max((len(g.ranks) for g in ran.groups), default=1)
            sizes["pp"] = max(sizes.get("pp", 1), whole)
    product = 1
    for size in sizes.values():
        product *= size
    return product
