"""One layout of one machine with everything that a choice looks at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.layout import Layout
from suiren.plan.problem import Machine, Problem


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
    """Of all cards together, averaged over a step."""
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


def memory_of(problem: Problem, machine: Machine) -> float:
    """Bytes that a card of a machine may hold."""
    own = float(machine.cluster().card.memory_bytes)
    return min(own, problem.limits.memory_bytes or own)


def skyline(columns: NDArray[np.float64]) -> list[int]:
    """Numbers of the rows [numbers, rows] that no other beats in all numbers, least first."""
    kept: list[int] = []
    least = np.empty((len(columns), 0))
    for at in np.lexsort(columns[::-1]):
        mine = columns[:, at : at + 1]
        if not np.any(np.all(least <= mine, axis=0)):
            kept.append(int(at))
            least = np.concatenate([least, mine], axis=1)
    return kept


def front(rows: Iterable[Row]) -> list[Row]:
    """Rows that no other beats in step time, memory, energy and cost at once, fastest first."""
    found = list(rows)
    if not found:
        return []
    numbers = [(r.step_s, r.memory_bytes, r.energy_j, r.cost) for r in found]
    return [found[n] for n in skyline(np.array(numbers).T)]
