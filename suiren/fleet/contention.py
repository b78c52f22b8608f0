"""Several collectives at once: they share the wires they meet on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from suiren.fleet.collective import chosen
from suiren.fleet.fold import fold
from suiren.fleet.network import Flow, fair_rates
from suiren.fleet.phases import Stage
from suiren.fleet.place import Place
from suiren.hw.cluster import Cluster

Asked = tuple[str, float, Place, float]
"""op, size_bytes, place, start_s."""
_DUST = 1e-9


@dataclass
class _Running:
    """A collective on its way through its stages."""

    stages: list[Stage]
    waits_until_s: float
    left: list[float] = field(default_factory=list)
    end_s: float = 0.0


def time_together(cluster: Cluster, asked: Sequence[Asked]) -> list[float]:
    """End times, in seconds, of collectives that start at `start_s` each.

    All are taken to use the same nodes, card by card as their places say, and contend for links
    and NICs. One alone ends when `time_collective` says. Raises ValueError for collectives on a
    torus, whose links are not folded alike.
    """
    if cluster.torus:
        raise ValueError(f"{cluster.name} is a torus: what meets there is not simulated")
    ends = [float(start_s) for _, _, _, start_s in asked]
    capacity: tuple[float, ...] = ()
    running: dict[int, _Running] = {}
    for number, (op, size_bytes, place, start_s) in enumerate(asked):
        if place.size < 2:
            continue
        stages = list(chosen(cluster, op, size_bytes, place)[1].stages)
        mine = fold(cluster, place).capacity_bytes_per_s
        capacity = mine if len(mine) > len(capacity) else capacity
        running[number] = _Running(stages, start_s + stages[0].wait_s)
    now = 0.0
    while running:
        now = _advance(running, capacity, now)
        for number in [n for n, one in running.items() if not one.stages]:
            ends[number] = running.pop(number).end_s
    return ends


def _advance(running: dict[int, _Running], capacity: Sequence[float], now: float) -> float:
    """Go to the next moment at which a wait or a flow ends; returns that moment."""
    moving: list[tuple[_Running, int, Flow]] = []
    for one in running.values():
        if one.waits_until_s <= now:
            if not one.left:
                one.left = [flow.size_bytes for flow in one.stages[0].flows]
            moving += [
                (one, i, flow)
                for i, flow in enumerate(one.stages[0].flows)
                if one.left[i] > 0.0
            ]
            if not any(m[0] is one for m in moving):
                _next_stage(one, now)
    rates = fair_rates([flow for _, _, flow in moving], capacity)
    waits = [one.waits_until_s for one in running.values() if one.stages and not one.left]
    # durations, not moments: a last byte must not drown in the digits of a late hour
    ways = [one.left[i] / rate for (one, i, _), rate in zip(moving, rates, strict=True)]
    steps = [*ways, *(w - now for w in waits if w > now)]
    if not steps:
        return now
    step = min(steps)
    for (one, i, flow), rate, way in zip(moving, rates, ways, strict=True):
        one.left[i] -= min(one.left[i], rate * step)
        if way <= step or one.left[i] <= _DUST * flow.size_bytes:
            one.left[i] = 0.0
    for one in running.values():
        if one.left and not any(one.left):
            _next_stage(one, now + step)
    return now + step


def _next_stage(one: _Running, now: float) -> None:
    """Leave a stage whose flows have arrived."""
    one.stages.pop(0)
    one.left = []
    one.end_s = now
    if one.stages:
        one.waits_until_s = now + one.stages[0].wait_s
