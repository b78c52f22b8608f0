"""One layout of one machine with everything that a choice looks at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from suiren.fleet.layout import Layout
from suiren.plan.problem import Limits, Machine, Problem


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds, bytes, joules and watts of a step; money in the user's currency."""

    machine: int
    """Number in the problem's machines."""
    layout: Layout
    step_s: float
    memory_bytes: float
    """Of the card that needs most."""
    energy_j: float
    """Of all cards."""
    power_w: float
    """Of all cards together."""
    mfu: float
    tokens_per_s: float
    cost: float
    """Of a step; 0 where no price was given."""
    owners_bytes: dict[str, float]

    @property
    def label(self) -> str:
        """The layout in a line, what is 1 or off left out."""
        return label_of(self.layout)

    def as_json(self) -> dict[str, Any]:
        """Plain values that `row_from_json` reads back."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return found | {"layout": asdict(self.layout)}


def row_from_json(found: dict[str, Any]) -> Row:
    """The row that `as_json` wrote."""
    return Row(**(found | {"layout": Layout(**found["layout"])}))


def label_of(layout: Layout) -> str:
    """A layout in a line, what is 1 or off left out."""
    words = [f"{n}{v}" for n in ("tp", "pp", "vpp", "dp", "cp", "ep")
             if (v := getattr(layout, n)) > 1 or n == "dp"]  # fmt: skip
    words.append(f"mb{layout.micro_batch}")
    words += [f"zero{layout.zero}"] if layout.zero and layout.dp * layout.cp > 1 else []
    words += ["sp"] if layout.sequence_parallel and layout.tp > 1 else []
    words += [layout.recompute] if layout.recompute != "none" else []
    words += ["offload"] if layout.offload != "none" else []
    words += [layout.schedule] if layout.pp > 1 and layout.schedule != "1f1b" else []
    words += [layout.precision] if layout.precision != "bf16" else []
    return " ".join(words)


def measure(row: Row, problem: Problem) -> tuple[float, float]:
    """What the goal makes small, then the step time."""
    chips = float(row.layout.ranks)
    first = {"time": row.step_s, "energy": row.energy_j, "cost": row.cost, "chips": chips}
    return first[problem.goal], row.step_s


def breaks(row: Row, problem: Problem, memory_bytes: float) -> str:
    """The first limit that a row breaks, empty if it keeps all; the order is that of the sum."""
    limits: Limits = problem.limits
    if row.memory_bytes > memory_bytes:
        return "memory"
    if limits.power_w and row.power_w > limits.power_w:
        return "power"
    if problem.tokens:
        all_s = problem.tokens / row.tokens_per_s
        if limits.deadline_s and all_s > limits.deadline_s:
            return "deadline"
        if limits.budget and row.cost * all_s / row.step_s > limits.budget:
            return "budget"
    return ""


def memory_of(problem: Problem, machine: Machine) -> float:
    """Bytes that a card of a machine may hold."""
    own = float(machine.cluster().card.memory_bytes)
    return min(own, problem.limits.memory_bytes or own)


def front(rows: Iterable[Row]) -> list[Row]:
    """Rows that no other beats in step time, memory, energy and cost at once, fastest first."""
    kept: list[tuple[tuple[float, ...], Row]] = []
    for row in sorted(rows, key=lambda r: (r.step_s, r.memory_bytes, r.energy_j, r.cost)):
        mine = row.step_s, row.memory_bytes, row.energy_j, row.cost
        if not any(all(a <= b for a, b in zip(other, mine, strict=True)) for other, _ in kept):
            kept.append((mine, row))
    return [row for _, row in kept]


def spread(rows: Sequence[Row], count: int) -> list[Row]:
    """At most `count` rows, evenly over the order they come in."""
    if len(rows) <= count:
        return list(rows)
    return [rows[int(n * (len(rows) - 1) / (count - 1))] for n in range(count)]
