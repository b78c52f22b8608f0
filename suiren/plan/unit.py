"""A unit of work of a search: the layouts of one split of one machine, evaluated at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import Layouts
from suiren.fleet.framework import Framework
from suiren.fleet.many import Many, memory_of_rows, steps_of
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster
from suiren.plan.problem import Problem
from suiren.plan.row import Row, front, measure, memory_of, row_from_json, skyline

#: Rows that a unit keeps: the best, those that come nearest to fitting, and some to draw.
BEST, NEAR, DRAWN = 24, 3, 24
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Unit:
    """Layouts of one machine of a problem."""

    number: int
    machine: int
    layouts: Layouts


@dataclass(frozen=True, slots=True)
class Found:
    """What is kept of a unit, or of many."""

    searched: int = 0
    fitting: int = 0
    broken: tuple[tuple[str, int], ...] = ()
    """(limit, how many layouts break it first)."""
    best: tuple[Row, ...] = ()
    front: tuple[Row, ...] = ()
    near: tuple[Row, ...] = ()
    """Rows over their memory, the nearest first."""
    missed: tuple[Row, ...] = ()
    """Rows that fit but break another limit: the fastest, and those of least power and cost."""
    drawn: tuple[tuple[Row, bool], ...] = ()
    """(row, whether it keeps all limits)."""

    def as_json(self) -> dict[str, Any]:
        """Plain values that `found_from_json` reads back."""
        return {
            "searched": self.searched, "fitting": self.fitting, "broken": list(self.broken),
            "best": [r.as_json() for r in self.best], "front": [r.as_json() for r in self.front],
            "near": [r.as_json() for r in self.near],
            "missed": [r.as_json() for r in self.missed],
            "drawn": [[r.as_json(), fits] for r, fits in self.drawn],
        }  # fmt: skip


def found_from_json(told: dict[str, Any]) -> Found:
    """What `as_json` wrote."""

    def rows(name: str) -> tuple[Row, ...]:
        return tuple(row_from_json(r) for r in told[name])

    return Found(
        told["searched"], told["fitting"], tuple((n, c) for n, c in told["broken"]), rows("best"),
        rows("front"), rows("near"), rows("missed"),
        tuple((row_from_json(r), f) for r, f in told["drawn"]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Everything that units share; it travels to other processes once."""

    problem: Problem
    model: Model
    framework: Framework

    def __call__(self, unit: Unit) -> Found:
        """What is kept of a unit."""
        problem, machine = self.problem, self.problem.machines[unit.machine]
        cluster = machine.cluster()
        limit = memory_of(problem, machine)
        rows, over = self._worth(unit.layouts, cluster, limit)
        many = steps_of(self.model, rows, cluster, self.framework)
        possible = np.isfinite(many.step_s)
        broken = _broken(many, self, unit.machine, limit)
        fits = possible & (broken == 0)
        order = np.argsort(many.step_s, kind="stable")
        order = order[possible[order]]
        keys = {"time": many.step_s, "energy": many.energy_j}
        key = keys.get(problem.goal, many.step_s)
        best = np.flatnonzero(fits)[np.lexsort((many.step_s[fits], key[fits]))][:BEST]
        near = np.flatnonzero(possible & (broken == 1))
        near = near[np.argsort(many.memory_bytes[near], kind="stable")][:NEAR]

        def row(number: Any) -> Row:
            return self.row(many, int(number), unit.machine)

        counts = [(name, int((broken[possible] == n).sum()) + over * (n == 1))
                  for n, name in enumerate(_LIMITS, 1)]  # fmt: skip
        return Found(
            len(unit.layouts), int(fits.sum()), tuple(c for c in counts if c[1]),
            tuple(row(n) for n in best), tuple(row(n) for n in _front(many, fits)),
            tuple(row(n) for n in near), tuple(row(n) for n in _missed(many, possible, broken)),
            tuple((row(n), bool(fits[n])) for n in spread(order.tolist(), DRAWN)),
        )  # fmt: skip

    def _worth(
        self, layouts: Layouts, cluster: Cluster, limit: float
    ) -> tuple[Layouts, int]:
        """The rows worth timing, those that fit and the nearest others, and how many are left out.

        Memory is known without a price of a kernel, and most rows of a space do not fit.
        """
        needed = memory_of_rows(self.model, layouts, cluster, self.framework)
        fits = np.flatnonzero(needed <= limit)
        over = np.flatnonzero((needed > limit) & np.isfinite(needed))
        near = over[np.argsort(needed[over], kind="stable")][:NEAR]
        return layouts.select(np.sort(np.concatenate([fits, near]))), len(over) - len(near)

    def row(self, many: Many, number: int, machine: int) -> Row:
        """A row of the columns with what its machine costs."""
        layout = many.layouts[number]
        step_s = float(many.step_s[number])
        price = self.problem.machines[machine].price_per_card_hour
        return Row(
            machine, layout, step_s, float(many.memory_bytes[number]),
            float(many.energy_j[number]), float(many.energy_j[number]) / step_s,
            float(many.mfu[number]), float(many.tokens_per_s[number]),
            price * layout.ranks * step_s / 3600,
            {n: float(v[number]) for n, v in many.owners_bytes.items() if v[number]},
        )  # fmt: skip


_LIMITS = ("memory", "power", "deadline", "budget")


def _broken(many: Many, job: Evaluator, machine: int, memory: float) -> NDArray[np.int8]:
    """Per row the number of the first limit that it breaks in `_LIMITS`, from 1; 0 for none."""
    problem, limits = job.problem, job.problem.limits
    price = problem.machines[machine].price_per_card_hour
    ranks, watts = many.layouts.ranks, _watts(many)
    with np.errstate(divide="ignore", invalid="ignore"):
        all_s = problem.tokens / many.tokens_per_s if problem.tokens else np.zeros(len(many))
    masks = (
        many.memory_bytes > memory,
        (watts > limits.power_w) if limits.power_w else np.zeros(len(many), bool),
        (all_s > limits.deadline_s) if limits.deadline_s else np.zeros(len(many), bool),
        (price * ranks * all_s / 3600 > limits.budget) if limits.budget
        else np.zeros(len(many), bool),
    )  # fmt: skip
    found = np.zeros(len(many), np.int8)
    for number, mask in enumerate(masks, 1):
        found[mask & (found == 0)] = number
    return found


def _missed(many: Many, possible: Mask, broken: NDArray[np.int8]) -> list[int]:
    """Rows that fit but break another limit: fastest, least power, least energy."""
    rows = np.flatnonzero(possible & (broken > 1))
    if not len(rows):
        return []
    watts = _watts(many)
    card_s = many.step_s * many.layouts.ranks
    least = [int(rows[np.argmin(column[rows])]) for column in (many.step_s, watts, card_s)]
    return list(dict.fromkeys(least))


def _watts(many: Many) -> NDArray[np.float64]:
    """Power of all cards of each row, averaged over a step; infinite for impossible rows."""
    found = np.full(len(many), np.inf)
    works = np.isfinite(many.step_s)
    found[works] = many.energy_j[works] / many.step_s[works]
    return found


def _least(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The fastest, the one of least power and the cheapest of rows."""
    found = list(rows)
    if not found:
        return ()
    keys: tuple[Callable[[Row], float], ...] = (
        lambda r: r.step_s, lambda r: r.power_w, lambda r: r.cost or r.step_s * r.layout.ranks,
    )  # fmt: skip
    return tuple(min(found, key=key) for key in keys)


def _front(many: Many, fits: Mask) -> list[int]:
    """Fitting rows that no other beats in step time, memory and energy."""
    rows = np.flatnonzero(fits)
    columns = np.stack([many.step_s[rows], many.memory_bytes[rows], many.energy_j[rows]])
    return [int(rows[n]) for n in skyline(columns)]


def spread(numbers: list[int], count: int) -> list[int]:
    """At most `count` numbers, evenly over the order they come in."""
    if len(numbers) <= count:
        return numbers
    return [numbers[int(n * (len(numbers) - 1) / (count - 1))] for n in range(count)]


def merged(parts: list[Found], problem: Problem) -> Found:
    """What is kept of all units together."""
    def goal(row: Row) -> tuple[float, float]:
        return measure(row, problem)

    broken: dict[str, int] = {}
    for part in parts:
        for name, count in part.broken:
            broken[name] = broken.get(name, 0) + count
    machines = range(len(problem.machines))
    nearest = sorted((r for p in parts for r in p.near), key=lambda r: r.memory_bytes)
    # machines of a price a card each: their fronts differ in cost as well
    return Found(
        sum(p.searched for p in parts), sum(p.fitting for p in parts), tuple(broken.items()),
        tuple(sorted((r for p in parts for r in p.best), key=goal)),
        tuple(front(r for p in parts for r in p.front)),
        tuple(r for m in machines for r in [n for n in nearest if n.machine == m][:NEAR]),
        _least(r for p in parts for r in p.missed),
        tuple(d for p in parts for d in p.drawn),
    )  # fmt: skip


def framework_for(framework: Framework, source: Any, lora_rank: int, params: float) -> Framework:
    """The framework with a source of parts; `params`: weights of adapters in a layer."""
    if lora_rank:
        return replace(framework, source=source, accumulate="frozen", adapter_params=params)
    return replace(framework, source=source)
