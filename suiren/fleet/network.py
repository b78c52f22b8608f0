"""Flows that share wires: max-min fair rates, and when each flow ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_DUST = 1e-9


@dataclass(frozen=True, slots=True)
class Flow:
    """Bytes on their way. `wires` names each wire it crosses and what share of it crosses there."""

    wires: tuple[tuple[int, float], ...]
    size_bytes: float


def fair_rates(flows: Sequence[Flow], capacity_bytes_per_s: Sequence[float]) -> list[float]:
    """Max-min fair bytes per second of each flow.

    Rates grow together until a wire is full; its flows keep theirs, the rest grow on. So no
    wire carries more than it can, and every flow crosses a full wire. A flow over no wire is
    infinitely fast.
    """
    rates = [0.0] * len(flows)
    left: dict[int, float] = {}
    load: dict[int, float] = {}
    on: dict[int, list[int]] = {}
    for number, flow in enumerate(flows):
        for wire, share in flow.wires:
            left[wire] = capacity_bytes_per_s[wire]
            load[wire] = load.get(wire, 0.0) + share
            on.setdefault(wire, []).append(number)
        if not flow.wires:
            rates[number] = float("inf")
    growing = {n for n, flow in enumerate(flows) if flow.wires}
    level = 0.0
    while growing:
        wire = min(load, key=lambda w: (left[w] / load[w], w))
        step = left[wire] / load[wire]
        level += step
        for other in load:
            left[other] -= step * load[other]
        full = [w for w in load if left[w] <= _DUST * capacity_bytes_per_s[w]]
        for number in {n for w in full for n in on[w]} & growing:
            rates[number] = level
            growing.discard(number)
            for crossed, share in flows[number].wires:
                load[crossed] -= share
        for emptied in [w for w, carried in load.items() if carried <= _DUST]:
            del load[emptied]
    return rates


def end_times(flows: Sequence[Flow], capacity_bytes_per_s: Sequence[float]) -> list[float]:
    """Seconds from a common start to each flow's end; shares are dealt anew at every end."""
    ends = [0.0] * len(flows)
    left = {n: flow.size_bytes for n, flow in enumerate(flows) if flow.size_bytes > 0}
    now = 0.0
    while left:
        going = list(left)
        rates = fair_rates([flows[n] for n in going], capacity_bytes_per_s)
        step = min(left[n] / rate for n, rate in zip(going, rates, strict=True))
        now += step
        for n, rate in zip(going, rates, strict=True):
            left[n] -= rate * step if rate != float("inf") else left[n]
            if left[n] <= _DUST * flows[n].size_bytes:
                ends[n] = now
                del left[n]
    return ends


def busiest(flows: Sequence[Flow], capacity_bytes_per_s: Sequence[float]) -> tuple[float, int]:
    """Seconds for which the busiest wire works, and its number (-1 for no flow).

    No sharing can end sooner.
    """
    load: dict[int, float] = {}
    for flow in flows:
        for wire, share in flow.wires:
            load[wire] = load.get(wire, 0.0) + share * flow.size_bytes
    if not load:
        return 0.0, -1
    times = {wire: carried / capacity_bytes_per_s[wire] for wire, carried in load.items()}
    wire = max(sorted(times), key=times.__getitem__)
    return times[wire], wire


def slowest(
    flows: Sequence[Flow], capacity_bytes_per_s: tuple[float, ...]
) -> tuple[float, int]:
    """When the last flow ends, and the busiest wire: seconds and its number (-1 for no flow)."""
    if not flows:
        return 0.0, -1
    # the same flows with other sizes take as much longer as they are larger
    unit_bytes = max(flow.size_bytes for flow in flows)
    if unit_bytes == 0:
        return 0.0, -1
    load = flows[0].wires[0][1] if flows[0].wires else 1.0
    unit = tuple(
        (tuple((wire, _rounded(share / load)) for wire, share in flow.wires),
         _rounded(flow.size_bytes / unit_bytes))
        for flow in flows
    )  # fmt: skip
    seconds, wire = _slowest_unit(unit, capacity_bytes_per_s)
    return seconds * unit_bytes * load, wire


def _rounded(share: float) -> float:
    """Without the dust of the last digits, so that equal flows are found again."""
    return round(share, 12)


@lru_cache(maxsize=16384)
def _slowest_unit(
    unit: tuple[tuple[tuple[tuple[int, float], ...], float], ...], capacity: tuple[float, ...]
) -> tuple[float, int]:
    flows = [Flow(wires, size) for wires, size in unit]
    return max(end_times(flows, capacity)), busiest(flows, capacity)[1]
