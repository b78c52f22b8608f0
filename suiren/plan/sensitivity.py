"""How much an answer hangs on each fact of the hardware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from suiren.fleet.layout import BadLayout
from suiren.fleet.sharded import sharded_step
from suiren.fleet.sharded_framework import Sharded
from suiren.fleet.step import train_step
from suiren.hw.cluster import Cluster
from suiren.hw.fact import Fact
from suiren.mapper.plans import following
from suiren.plan.planner import Planner
from suiren.plan.row import Row

#: How far a fact is moved, each way: what nobody published may be far off.
SPREAD = {"assumed": 0.2, "fitted": 0.1, "derived": 0.1, "published": 0.05}
#: Facts that a step never looks at.
_UNUSED = ("process_nm", "core_groups", "printed_flop_per_s")
#: Small latencies and energies of single instructions: together they matter, one by one little.
_FINE = ("pace.", "register_bytes", "memory_latency_s", "special_per_cycle")
_COARSE = ("pace.vector_efficiency", "pace.stream_efficiency", "pace.l2_efficiency",
           "pace.sustained_clock", "pace.overlap_loss")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Swing:
    """A fact moved down and up, and the step under both."""

    fact: str
    kind: str
    value: float
    low: float
    high: float
    step_s_low: float
    step_s_high: float
    source: str

    @property
    def swing_s(self) -> float:
        """How far the step moves."""
        return abs(self.step_s_high - self.step_s_low)


def worth_moving(cluster: Cluster, all_of_them: bool) -> list[tuple[str, Fact]]:
    """Facts of a card to move: the assumed ones that stand for much, or all of all kinds."""
    facts = [(n, f) for n, f in cluster.card.facts()
             if float(f) and not any(w in n for w in _UNUSED)]  # fmt: skip
    if all_of_them:
        return facts
    return [(n, f) for n, f in facts
            if f.kind == "assumed" and (n in _COARSE or not n.startswith(_FINE))]  # fmt: skip


def swings(planner: Planner, row: Row, all_of_them: bool = False) -> Iterator[Swing]:
    """Facts of the row's card, moved one at a time."""
    cluster = planner.problem.machines[row.machine].cluster()
    for name, fact in worth_moving(cluster, all_of_them):
        if _is_other_format(name, row.layout.precision):
            continue
        spread = SPREAD[fact.kind]
        low, high = float(fact) * (1 - spread), float(fact) * (1 + spread)
        try:
            less_s = _step_s(planner, row, with_fact(cluster, name, low))
            more_s = less_s
            if abs(less_s - row.step_s) > 1e-6 * row.step_s:  # what less of it does not slow …
                more_s = _step_s(planner, row, with_fact(cluster, name, high))
        except (BadLayout, ValueError, ZeroDivisionError):
            continue  # a fact that cannot be moved alone, such as a count
        yield Swing(name, fact.kind, float(fact), low, high, less_s, more_s, fact.source)


def _is_other_format(name: str, precision: str) -> bool:
    """Whether a fact is the rate of a format that the layout does not multiply in."""
    start, _, last = name.rpartition(".")
    return (start == "chip.matrix" and last != precision) or (
        start == "chip.vector" and last not in ("fp32", precision)
    )


def _step_s(planner: Planner, row: Row, cluster: Cluster) -> float:
    """The step on a changed cluster; every kernel keeps the tiles chosen for the true one."""
    base = planner.problem.machines[row.machine].cluster().card
    with following(cluster.card, base):
        return _step_on(planner, row, cluster)


def _step_on(planner: Planner, row: Row, cluster: Cluster) -> float:
    if row.layout.zero > 1 and isinstance(planner.framework, Sharded):
        return sharded_step(planner.model, row.layout, cluster, planner.framework).step_s
    return train_step(planner.model, row.layout, cluster, planner.framework).step_s


def with_fact(cluster: Cluster, name: str, value: float) -> Cluster:
    """The cluster with one fact of its card at another value."""
    card = _replaced(cluster.card, name.split("."), value)
    return replace(cluster, node=replace(cluster.node, card=card))


def _replaced(thing: Any, path: list[str], value: float) -> Any:
    """A copy of nested dataclasses, mappings and tuples with one fact changed."""
    if isinstance(thing, Fact):
        return thing.at(value)
    name, rest = path[0], path[1:]
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{name: _replaced(getattr(thing, name), rest, value)})
    if isinstance(thing, dict) or hasattr(thing, "keys"):
        return {k: _replaced(v, rest, value) if str(k) == name else v for k, v in thing.items()}
    if isinstance(thing, tuple):
        return tuple(_replaced(v, rest, value) if str(n) == name else v
                     for n, v in enumerate(thing))  # fmt: skip
    raise ValueError(f"no fact called {name}")
