"""Plans of products on cards: tuned once, then looked up in memory and on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

from suiren.core.timing import Timing
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.mapper.candidate import Shape
from suiren.mapper.menu import Offer
from suiren.mapper.remember import Memory, card_version, code_version
from suiren.mapper.tune import Plan, again, tune

#: Shares of the shared level are rounded to this for remembering.
STEPS = 20


@dataclass
class Plans:
    """The plans of one card.

    `like` gives the choices of kernel and tiles instead of tuning: what another card chose
    for a shape is simulated on this one.
    """

    card: Card
    memory: Memory | None = None
    like: Plans | None = None
    known: dict[tuple[Shape, tuple[tuple[str, float], ...]], Plan] = field(default_factory=dict)
    _version: str = ""

    def plan(self, shape: Shape, warm: Mapping[str, float] | None = None) -> Plan:
        """The plan for a product; `warm` is the share of `a` and `b` in the shared level."""
        near = tuple(sorted((k, round(v * STEPS) / STEPS) for k, v in (warm or {}).items() if v))
        key = (shape, near)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._find(shape, dict(near))
        return found

    def _find(self, shape: Shape, warm: dict[str, float]) -> Plan:
        if self.like is not None:
            plan = self.like.plan(shape, warm)
            return replace(plan, timing=again(plan, shape, self.card, warm))
        key = self._key(shape, warm) if self.memory is not None else ""
        text = self.memory.get(key) if self.memory is not None else None
        if text is not None:
            return _read(text)
        plan = tune(shape, self.card, 1.0, warm)
        if self.memory is not None:
            self.memory.put(key, json.dumps(asdict(plan)))
        return plan

    def _key(self, shape: Shape, warm: dict[str, float]) -> str:
        if not self._version:
            self._version = f"{code_version()} {self.card.name} {card_version(self.card)}"
        sizes = f"{shape.batch} {shape.m} {shape.n} {shape.k} {shape.dtype} {shape.out}"
        return f"{self._version} {sizes} {json.dumps(warm, sort_keys=True)}"


def _read(text: str) -> Plan:
    fields = json.loads(text)
    fields["offer"] = Offer(**fields["offer"])
    fields["timing"] = Timing(**fields["timing"])
    return Plan(**fields)


_MEMORY = Memory()


def plans_of(card: Card) -> Plans:
    """The plans of a card in this process, remembered on disk."""
    held = Held(card)
    return _following.get(held) or _plans_of(held)


_following: dict[Held, Plans] = {}


@contextmanager
def following(card: Card, other: Card) -> Iterator[None]:
    """Inside, what another card chose for a product is taken on this one, and nothing is tuned.

    For small changes of a card: only the numbers move, and one candidate is simulated, not all.
    """
    held = Held(card)
    _following[held] = Plans(card, like=plans_of(other))
    try:
        yield
    finally:
        del _following[held]


@lru_cache(maxsize=None)
def _plans_of(held: Held) -> Plans:
    return Plans(held.card, _MEMORY)


def keep_plans() -> None:
    """Writes what this process tuned to disk, where other processes find it."""
    _MEMORY.write()
