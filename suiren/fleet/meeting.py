"""Meetings: collectives in which ranks that are walked apart take part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Meeting:
    """A collective under way: who has arrived, and when it ends once all have."""

    expected: frozenset[int]
    """Walked ranks that take part."""
    arrived_ps: dict[int, int] = field(default_factory=dict)
    is_collective: bool = True
    """Of a whole group; False for a message from one rank to another."""
    takes_ps: int = 0
    start_ps: int = -1
    told: list[Callable[[Meeting], None]] = field(default_factory=list)
    """Called when the end is known."""

    @property
    def is_over(self) -> bool:
        """True once its end is known."""
        return self.start_ps >= 0

    @property
    def end_ps(self) -> int:
        """When it ends, for all who take part."""
        return self.start_ps + self.takes_ps

    def arrive(self, rank: int, at_ps: int, takes_ps: int) -> None:
        """A rank joins; the last one starts it. It lasts as long as its slowest member says."""
        self.arrived_ps[rank] = at_ps
        self.takes_ps = max(self.takes_ps, takes_ps)
        if len(self.arrived_ps) == len(self.expected):
            self.start_ps = max(self.arrived_ps.values())
            for tell in self.told:
                tell(self)


Key = tuple[object, ...]


class Meetings:
    """All meetings of a step, found by who meets where and for the how-manieth time."""

    def __init__(self) -> None:
        self._by_key: dict[Key, Meeting] = {}

    def at(self, key: Key, expected: frozenset[int], is_collective: bool = True) -> Meeting:
        """The meeting of that key, made at first use; forgotten once all came for it."""
        found = self._by_key.get(key)
        if found is None:
            found = self._by_key[key] = Meeting(expected, is_collective=is_collective)
        if len(found.arrived_ps) + 1 >= len(found.expected):
            del self._by_key[key]
        return found

    def open_keys(self) -> list[Key]:
        """Keys of meetings that some rank has not come to."""
        return list(self._by_key)
