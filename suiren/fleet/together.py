"""All ranks of a run together: when every op of every walked rank runs, in the steady step.

Each rank walks until it needs what another has not told yet; ranks take turns. A step is
repeated until its period stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from suiren.events.queue import LINKS, NETWORK, Cost
from suiren.events.span import Span
from suiren.fleet.cost import lost_to_cores_s
from suiren.fleet.meeting import Key, Meeting, Meetings
from suiren.fleet.placed import placed_call
from suiren.fleet.ranks import RankProgram, int_of, is_collective
from suiren.fleet.tokens import Row, Token, tokens_of
from suiren.fleet.walk import Walker
from suiren.fleet.walkers import Walked, walked_ranks
from suiren.hw.cluster import Cluster
from suiren.mapper.step import Prices, StepTime
from suiren.trace.call import Call
from suiren.trace.program import Program, Step
from suiren.units import PS_PER_S

#: A step's period has settled after this many repetitions.
MAX_REPEATS = 8
#: Spans are kept for as many ranks as have so many events together, at least one.
MOST_EVENTS = 1_000_000


class RanksPart(ValueError):  # noqa: N818 - reads as what it is
    """A rank waits for a meeting to which another never comes."""


@dataclass(frozen=True)
class Together:
    """The steady step of a whole run."""

    period_ps: int
    walked: tuple[Walked, ...]
    times: dict[int, StepTime]
    """Walked rank -> its step, spans kept."""


class _Rank:
    """A walked rank with its prices on the cluster and its count of meetings."""

    def __init__(self, walked: Walked, cluster: Cluster, prices: Prices, ranks: set[int]) -> None:
        self.walked, self.cluster, self.prices = walked, cluster, prices
        self.program = walked.ran.program
        self.groups = tuple(walked.group(n) for n in range(len(walked.ran.groups)))
        self.ranks = ranks
        self._costs: dict[int, Cost] = {}
        self._expected: dict[Key, frozenset[int]] = {}
        self._count: dict[Key, int] = {}

    def key(self, call: int) -> Key:
        """Who meets in a call: the group's ranks, or the two ends of a message."""
        asked = self.program.calls[call]
        group = self.groups[int_of(asked, "group")]
        where: Key = (group.ranks, group.copy)
        if asked.name not in ("send", "recv"):
            return where
        peer, own = self.walked.peer(asked), self.walked.rank
        return (*where, own, peer) if asked.name == "send" else (*where, peer, own)

    def expected(self, key: Key) -> frozenset[int]:
        """The walked ranks that come."""
        found = self._expected.get(key)
        if found is None:
            members = key[2:] or key[0]
            found = frozenset(r for r in self.ranks if r in members)  # type: ignore[operator]
            self._expected[key] = found
        return found

    def meets(self, call: int) -> bool:
        """True for a call in which this rank meets other walked ranks."""
        if not is_collective(self.program.calls[call]):
            return False
        return len(self.expected(self.key(call))) > 1

    def cost(self, call: int) -> Cost:
        """Picoseconds of a call; a collective where this rank's group sits."""
        asked = self.program.calls[call]
        if not is_collective(asked):
            return self.prices.cost(call)
        found = self._costs.get(call)
        if found is None:
            asked = _moved(asked, self.walked.peer(asked))
            on = placed_call(asked, self.groups, self.walked.rank, self.cluster)
            engine = NETWORK if on.arguments["crosses_nodes"] else LINKS
            found = Cost(int_of(on, "takes_ps"), 0, "collective", engine)
            self._costs[call] = found
        return found

    def next_meeting(self, call: int, meetings: Meetings) -> tuple[Meeting, int]:
        """The meeting that comes next on the call's group, and what it takes."""
        key = self.key(call)
        number = self._count[key] = self._count.get(key, 0) + 1
        meeting = meetings.at((*key, number), self.expected(key), len(key) == 2)
        return meeting, self.cost(call).busy_ps


def _moved(call: Call, peer: int) -> Call:
    return Call(call.op, {**call.arguments, "peer": peer}, call.outputs)


def together(
    classes: Sequence[RankProgram], cluster: Cluster, prices_of: Callable[[Program], Prices]
) -> Together:
    """The steady step of all classes on the cluster.

    Raises RanksPart where ranks do not meet, ClusterTooSmall and TooManyWalkers.
    """
    walked = walked_ranks(classes)
    ranks = {w.rank for w in walked}
    meetings = Meetings()
    rows = {id(w.ran): _rows(w.ran.program) for w in walked}
    walkers = [
        _walker(w, rows[id(w.ran)], cluster, prices_of(w.ran.program), ranks, meetings)
        for w in walked
    ]
    last, ends = -1, [0] * len(walkers)
    for _ in range(MAX_REPEATS):
        before = max(ends)
        _step(walkers, meetings)
        ends = [w.end_ps() for w in walkers]
        period = max(ends) - before
        if period == last:
            break
        last = period
    kept = _kept(walked)
    for walker, walk in zip(walkers, walked, strict=True):
        walker.spans = [] if walk.rank in kept else None
    _step(walkers, meetings)
    times = {
        walker.rank: StepTime(last, _in_order(walker.spans), before, walker.end_ps())
        for walker, before in zip(walkers, ends, strict=True)
        if walker.spans is not None
    }
    return Together(max(w.end_ps() for w in walkers) - max(ends), tuple(walked), times)


def _in_order(spans: list[Span]) -> list[Span]:
    return sorted(spans, key=lambda s: (s.start_ps, s.end_ps))


def _walker(
    walked: Walked, rows: list[Row], cluster: Cluster, prices: Prices, ranks: set[int],
    meetings: Meetings,
) -> Walker:  # fmt: skip
    rank = _Rank(walked, cluster, prices, ranks)
    issue_ps = round(cluster.card.host_issue_s * PS_PER_S)
    tokens: list[Token] = tokens_of(rows, rank.cost, rank.meets, issue_ps)
    slowed = lost_to_cores_s(1.0, cluster.card)
    return Walker(walked.rank, tokens, lambda call: rank.next_meeting(call, meetings), slowed)


def _step_of(program: Program) -> Step | None:
    """The step that is reported."""
    key = program.steady()
    return program.rest if key is None else program.distinct[key]


def _rows(program: Program) -> list[Row]:
    """Events of the step that is reported."""
    step = _step_of(program)
    rows: list[Row] = [] if step is None else step.events.tolist()
    return rows


def _num_events(program: Program) -> int:
    """How many events the step that is reported has."""
    step = _step_of(program)
    return 0 if step is None else len(step.events)


def _step(walkers: Sequence[Walker], meetings: Meetings) -> None:
    for walker in walkers:
        walker.begin()
    while not all(w.is_done for w in walkers):
        progress = [walker.advance() for walker in walkers]
        if not any(progress) and _all_go_on(walkers):
            continue
        if not any(progress) and not all(w.is_done for w in walkers):
            stuck = next(w.rank for w in walkers if not w.is_done)
            key = next(iter(meetings.open_keys()), ((), 0))
            raise RanksPart(
                f"rank {stuck} waits in a collective of the ranks {_named(key[0])} to which "
                "another rank never comes: the ranks do not ask for the same collectives in the "
                "steady step"
            )


def _all_go_on(walkers: Sequence[Walker]) -> bool:
    """Where all ranks wait to learn when collectives run, they go on without; True if one does."""
    for walker in walkers:
        walker.is_patient = False
    progress = [walker.advance() for walker in walkers]
    for walker in walkers:
        walker.is_patient = True
    return any(progress)


def _named(ranks: object) -> str:
    known = list(ranks)  # type: ignore[call-overload]
    return ", ".join(map(str, known)) if len(known) <= 8 else f"{known[0]} … {known[-1]}"


def _kept(walked: Sequence[Walked]) -> set[int]:
    """Ranks whose spans are kept: the first of every class, then as many as there is room for."""
    kept: set[int] = set()
    seen: set[int] = set()
    room = MOST_EVENTS
    fresh = [w for w in walked if not (id(w.ran) in seen or seen.add(id(w.ran)))]  # type: ignore[func-returns-value]
    for walk in [*fresh, *walked]:
        size = _num_events(walk.ran.program)
        if walk.rank not in kept and (not kept or size <= room):
            kept.add(walk.rank)
            room -= size
    return kept
