"""Positions: what a loop counts, and the affine arithmetic a kernel may do with it.

An `Index` is a whole number that is known once the loops around it stand at an iteration:
`const + Σ coefficient · iteration`. A `Range` is a run of positions that starts at one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Index:
    """One position: `const` plus `coefficient × iteration` for some loops, by loop number."""

    const: int = 0
    terms: tuple[tuple[int, int], ...] = ()

    def __add__(self, other: int | Index) -> Index:
        other = index(other)
        terms = dict(self.terms)
        for loop, coefficient in other.terms:
            terms[loop] = terms.get(loop, 0) + coefficient
        kept = tuple(sorted((loop, c) for loop, c in terms.items() if c))
        return Index(self.const + other.const, kept)

    __radd__ = __add__

    def __mul__(self, factor: int) -> Index:
        return Index(self.const * factor, tuple((loop, c * factor) for loop, c in self.terms))

    __rmul__ = __mul__

    def __neg__(self) -> Index:
        return self * -1

    def __sub__(self, other: int | Index) -> Index:
        return self + -index(other)

    def at(self, iterations: Mapping[int, int]) -> int:
        """The number itself, `iterations` giving where every loop stands."""
        return self.const + sum(c * iterations[loop] for loop, c in self.terms)

    def loops(self) -> frozenset[int]:
        """Numbers of the loops it depends on."""
        return frozenset(loop for loop, _ in self.terms)


def index(value: int | Index) -> Index:
    """A plain number as an Index."""
    return value if isinstance(value, Index) else Index(value)


@dataclass(frozen=True, slots=True)
class Range:
    """`size` positions from `start`, `stride` apart.

    Positions outside of the tensor read as padding and are not written. `counted` and
    `extent` say how far the loop behind the range goes, for edges: position `start + n` is
    inside if `counted + n < extent`.
    """

    start: Index
    size: int
    stride: int = 1
    counted: Index = Index()
    extent: int | None = None

    def __add__(self, offset: int | Index) -> Range:
        return replace(self, start=self.start + offset)

    __radd__ = __add__

    def __sub__(self, offset: int | Index) -> Range:
        return self + -index(offset)

    def __mul__(self, factor: int) -> Range:
        return replace(self, start=self.start * factor, stride=self.stride * factor)

    __rmul__ = __mul__

    @property
    def stop(self) -> Index:
        """The position after the last one."""
        return self.start + self.size * self.stride

    @property
    def has_edge(self) -> bool:
        """True if the last iteration of its loop sticks out of the extent."""
        return self.extent is not None and self.extent % self.size != 0

    def inside(self, iterations: Mapping[int, int]) -> int:
        """How many of its positions lie inside the extent."""
        if self.extent is None:
            return self.size
        return max(0, min(self.size, self.extent - self.counted.at(iterations)))


def whole(size: int) -> Range:
    """All positions of a dimension."""
    return Range(Index(0), size)
