"""What a part takes on a card: calls priced, collectives timed, the host's time added up."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from math import inf

from suiren.fleet.collective import time_collective
from suiren.fleet.layout import Layout
from suiren.fleet.part import Comm, Task
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact, assumed, fitted
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.mapper.price import Price, price
from suiren.trace.call import Call

#: Cores that a library's collective keeps busy while it runs beside other kernels.
COLLECTIVE_CORES: Fact = assumed(
    16, "libraries run a ring in 8 to 32 channels of one core each; products beside lose as many"
)
#: The slowest clock a power limit is taken to reach, as a share of the full one.
LEAST_CLOCK = 0.3
#: Share of an eager op's host time before its kernel can start.
BEFORE_SHARE: Fact = fitted(
    0.44, "NeuSight's eager calls of split fit on CUDA (truth/eager.py): events around one op"
)
_PART = {"matrix": "matrix_s", "vector": "vector_s"}


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one rank, by what they are spent on; energies in joules."""

    matrix_s: float = 0.0
    vector_s: float = 0.0
    memory_s: float = 0.0
    """Kernels that device memory, the shared level or a link bounds."""
    launch_s: float = 0.0
    tp_s: float = 0.0
    cp_s: float = 0.0
    ep_s: float = 0.0
    """Collectives that nothing hides."""
    hidden_s: float = 0.0
    """Collectives beside kernels; no part of the sum."""
    host_s: float = 0.0
    """Time the host needs to issue all of it; no part of the sum."""
    tail_s: float = 0.0
    """By how much the device's time of what is issued last exceeds the host's, where the host then
    waits for it; no part of the sum."""
    engine_s: float = 0.0
    """Part of the kernels that a lower clock stretches."""
    engine_j: float = 0.0
    memory_j: float = 0.0
    flop: float = 0.0
    """FLOP of matrix products that were computed."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def times(self, count: float) -> Cost:
        """As many of it, one after the other."""
        return Cost(*(count * value for value in self.values()))

    def values(self) -> tuple[float, ...]:
        """All numbers in the order of the fields."""
        return tuple(getattr(self, name) for name in _FIELDS)

    @property
    def kernels_s(self) -> float:
        """Kernels and their launches."""
        return self.matrix_s + self.vector_s + self.memory_s + self.launch_s

    @property
    def device_s(self) -> float:
        """Kernels and exposed collectives."""
        return self.kernels_s + self.tp_s + self.cp_s + self.ep_s

    @property
    def seconds(self) -> float:
        """What the rank takes: the host's time, or the device's behind the host's first part.

        The host runs ahead of long kernels; what it does before a kernel can start is not hidden,
        nor are kernels after whose issue it waits.
        """
        return max(self.host_s + self.tail_s, self.behind_s)

    @property
    def behind_s(self) -> float:
        """The device's time with the host's part before each kernel."""
        return self.device_s + float(BEFORE_SHARE) * self.host_s

    def last(self) -> Cost:
        """The same as the end of a pass after which the host waits for the device.

        Host and device are a flow line of two machines: what is issued last begins when the host
        is through with all before it at the earliest.
        """
        return replace(self, tail_s=max(0.0, self.behind_s - self.host_s))

    @property
    def dynamic_j(self) -> float:
        """Energy beyond idle power."""
        return self.engine_j + self.memory_j

    def at_clock(self, clock: float, floor: float = 0.0) -> Cost:
        """The same with the engines at a share of their clock.

        The voltage goes with it down to the share `floor`.
        """
        if clock >= 1.0 or not self.engine_s:
            return self
        stretch = 1 / clock
        values = {name: getattr(self, name) for name in _FIELDS}
        bound = self.matrix_s + self.vector_s
        share = self.engine_s / bound * (stretch - 1) if bound else 0.0
        values["matrix_s"] += self.matrix_s * share
        values["vector_s"] += self.vector_s * share
        values["engine_s"] *= stretch
        values["engine_j"] *= max(clock, floor) ** 2
        return Cost(**values)


_FIELDS = tuple(f.name for f in fields(Cost))
NOTHING = Cost()


@lru_cache(maxsize=200_000)
def _price(text: str, held: Held, call: _Call) -> Price:
    return price(call.call, held.card)


class _Call:
    """A call as an argument that does not take part in a lookup; its text does."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Call)


def price_of(call: Call, card: Card) -> Price:
    """The price of a call, worked out once for each card."""
    return _price(str(call), Held(card), _Call(call))


def cost_of(
    tasks: tuple[Task, ...], cluster: Cluster, layout: Layout, host_op_s: float,
    more_issued: float = 0.0,
) -> Cost:  # fmt: skip
    """The cost of tasks issued one after the other; `more_issued`: kernels besides one a task.

    A collective `beside` others takes what is left of it after them, and slows them by the cores
    it keeps.
    """
    card = cluster.card
    priced = [price_of(t, card) if isinstance(t, Call) else None for t in tasks]
    total = dict.fromkeys(_FIELDS, 0.0)
    for index, (task, found) in enumerate(zip(tasks, priced, strict=True)):
        if found is None:
            assert isinstance(task, Comm)
            _exchange(task, index, priced, cluster, layout, total)
            continue
        total[_PART.get(found.why, "memory_s")] += found.busy_s
        total["launch_s"] += found.launch_s
        total["engine_s"] += found.engine_s
        total["engine_j"] += found.engine_j
        total["memory_j"] += found.memory_j
        total["flop"] += sum(found.flop.values())
    total["host_s"] = host_op_s * max(0.0, len(tasks) + more_issued)
    return Cost(**total)


def _exchange(
    task: Comm, index: int, priced: list[Price | None], cluster: Cluster, layout: Layout,
    total: dict[str, float],
) -> None:  # fmt: skip
    place = layout.place(task.group, cluster.cards_per_node)
    size_bytes = task.size_bytes * reach(task.copies, place)
    seconds = time_collective(cluster, task.op, size_bytes, place).seconds
    first, last = sorted((index + (task.beside > 0), index + task.beside))
    beside = [p for p in priced[max(0, first) : last + (task.beside > 0)] if p is not None]
    if task.beside == 0:
        beside = []
    cover = sum(p.total_s for p in beside)
    hidden = min(seconds, cover)
    total[f"{task.group}_s"] += seconds - hidden
    total["hidden_s"] += hidden
    total["memory_s"] += lost_to_cores_s(hidden, cluster.card) if beside else 0.0


def reach(copies: int, place: Place) -> float:
    """Share of a token's copies that are sent, if its experts are drawn at random.

    A copy goes to each place that holds one of them: to each node once where a group spans nodes,
    whose cards pass it on (DeepEP, intranode and internode kernels), else to each rank once.
    """
    if not copies:
        return 1.0
    places = place.nodes if place.nodes > 1 else place.size
    return min(1.0, places * (1 - (1 - 1 / places) ** copies) / copies)


def behind_kernels(cost: Cost, card: Card) -> Cost:
    """Exchanges of experts that run beside kernels of other micro-batches, and slow them."""
    hidden_s = min(cost.ep_s, cost.kernels_s)
    return replace(cost, ep_s=cost.ep_s - hidden_s, hidden_s=cost.hidden_s + hidden_s,
                   memory_s=cost.memory_s + lost_to_cores_s(hidden_s, card))  # fmt: skip


def lost_to_cores_s(hidden_s: float, card: Card) -> float:
    """What kernels lose to the cores that a collective beside them keeps for `hidden_s`.

    On GPUs libraries move and add data by kernels on the chip's own cores. Other chips have
    engines for it (`Chip.is_gpu`): nothing is lost.
    """
    if not card.chip.is_gpu:
        return 0.0
    cores = float(card.cores)
    taken = min(float(COLLECTIVE_CORES), cores / 2)
    return hidden_s * taken / (cores - taken)


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that a card's power limit allows over some work."""

    share: float
    power_w: float


def clock_of(
    cost: Cost, seconds: float, card: Card, cap_w: float = inf, least: float = LEAST_CLOCK
) -> Clock:
    """The highest clock at which the average power of the work stays within the limit.

    The limit is the card's own, or `cap_w` where that is lower. Below the card's
    `voltage_floor` the voltage falls no further. `least` is the slowest clock: below it,
    `power_w` stays above the limit.
    """
    limit_w, floor = min(float(card.tdp_w), cap_w), float(card.pace.voltage_floor)

    def power_w(clock: float) -> float:
        time_s = max(seconds, seconds + cost.engine_s * (1 / clock - 1))
        joules = cost.engine_j * max(clock, floor) ** 2 + cost.memory_j
        return float(card.idle_w + joules / time_s)

    if seconds <= 0 or power_w(1.0) <= limit_w:
        return Clock(1.0, power_w(1.0) if seconds > 0 else float(card.idle_w))
    low, high = least, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if power_w(middle) <= limit_w else (low, middle)
    return Clock(low, power_w(low))
