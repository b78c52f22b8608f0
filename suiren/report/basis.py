"""What an answer rests on: the assumed facts that move it, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

from suiren.hw.default_node import node_for
from suiren.hw.fact import Fact
from suiren.hw.host import facts_of, share_bytes_per_s
from suiren.hw.pace import Pace
from suiren.hw.spec import Card, Chip
from suiren.mapper.families.host import is_on_host, rate_of, with_rate
from suiren.mapper.step import Prices, steady_step
from suiren.trace.program import Kind, Program
from suiren.units import PS_PER_S

#: How far an assumed fact is moved to see what depends on it.
NUDGE = 1.2


@dataclass(frozen=True, slots=True)
class Rested:
    """An assumed fact and what +20 % of it does to the step time."""

    name: str
    fact: Fact
    effect_percent: float
    """Change of the step time, signed. None of it means the answer does not depend on the fact."""


#: Facts that only decide energy.
_ENERGY = {"tdp_w", "idle_w"}


def rests_on(program: Program, key: int, prices: Prices, seconds: float) -> Iterator[Rested]:
    """Assumed facts that the step's time or energy depends on, strongest first.

    Kernels and tiles stay those that `prices` chose.
    """
    rows = []
    main = _main_calls(program, key, prices)
    for name, fact, nudged in _nudged(prices.card):
        moved = Prices(program.calls, nudged, prices, prices.clock, main)
        time = steady_step(program, moved, key).period_ps / PS_PER_S
        effect = 100 * (time / seconds - 1) if seconds else 0.0
        if abs(effect) >= 0.005 or name in _ENERGY:
            rows.append(Rested(name, fact, effect))
    rows += _of_host(program, prices, main, seconds, key)
    yield from sorted(rows, key=lambda r: (-abs(r.effect_percent), r.name))


def _of_host(
    program: Program, prices: Prices, main: frozenset[int], seconds: float, key: int
) -> list[Rested]:
    """What the time of the host's own work rests on, where it computes."""
    mine = frozenset(call for call in main if is_on_host(program.calls[call]))
    if not mine or not seconds:
        return []
    node = node_for(prices.card)
    alone = share_bytes_per_s(node, 1)
    calls = list(program.calls)
    for call in mine:
        calls[call] = with_rate(calls[call], NUDGE * (rate_of(calls[call]) or alone))
    moved = Prices(calls, prices.card, prices, prices.clock, mine)
    effect = 100 * (steady_step(program, moved, key).period_ps / PS_PER_S / seconds - 1)
    return [Rested(n, f, effect) for n, f in facts_of(node).items() if f.kind == "assumed"]


#: Capacities that time does not depend on in this model.
_INERT = {
    "memory_bytes", "chip.core_groups", "chip.process_nm", "pace.mac_j", "pace.memory_byte_j",
    "pace.l2_byte_j", "pace.lane_j",
}  # fmt: skip


#: Calls that together take this share of a step's device time are worked out again for each
#: fact; the small rest keeps its price.
_MAIN_SHARE = 0.97


def _main_calls(program: Program, key: int, prices: Prices) -> frozenset[int]:
    total: dict[int, float] = {}
    for kind, what, *_ in program.distinct[key].events.tolist():
        if kind == Kind.OP:
            total[what] = total.get(what, 0.0) + prices.price(what).total_s
    left = (1 - _MAIN_SHARE) * sum(total.values())
    chosen = set(total)
    for call in sorted(total, key=lambda c: total[c]):
        left -= total[call]
        if left < 0:
            break
        chosen.discard(call)
    return frozenset(chosen)


def _nudged(card: Card) -> Iterator[tuple[str, Fact, Card]]:
    """Every assumed fact with a card in which it alone is 20 % larger."""
    for owner, prefix in ((card.chip, "chip."), (card.pace, "pace."), (card, "")):
        for f in fields(owner):
            value = getattr(owner, f.name)
            name = prefix + f.name
            if name in _INERT:
                continue
            if isinstance(value, Fact) and value.kind == "assumed":
                yield name, value, _with(card, owner, f.name, value.at(_larger(name, value)))
            elif isinstance(value, dict) and f.name in ("matrix", "vector"):
                for key, fact in value.items():
                    if fact.kind == "assumed":
                        table = {**value, key: fact.at(fact * NUDGE)}
                        yield f"{name}.{key}", fact, _with(card, owner, f.name, table)


def _larger(name: str, fact: Fact) -> float:
    """20 % more, but an efficiency never above 1."""
    return min(1.0, fact * NUDGE) if name.endswith("efficiency") else fact * NUDGE


def _with(card: Card, owner: Card | Chip | Pace, name: str, value: object) -> Card:
    changed = {name: value}
    if isinstance(owner, Card):
        return replace(card, **changed)  # type: ignore[arg-type]
    if isinstance(owner, Pace):
        return replace(card, pace=replace(owner, **changed))  # type: ignore[arg-type]
    return replace(card, chip=replace(owner, **changed))  # type: ignore[arg-type]
