"""A hardware number that remembers where it was read and how sure we are of it."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["published", "derived", "fitted", "assumed"]
KINDS: tuple[str, ...] = get_args(Kind)


class Fact(float):
    """A number with its `source` and `kind`; arithmetic on it gives plain floats.

    `published`: stands in the cited source. `derived`: follows from published numbers by
    the arithmetic in `source`. `fitted`: read off the cited measurements. `assumed`:
    nobody published it, and `source` gives the reasoning.
    """

    source: str
    kind: Kind

    def __new__(cls, value: float, source: str, kind: Kind = "published") -> Fact:
        """Raises ValueError for an unknown kind or a missing source."""
        if kind not in KINDS:
            raise ValueError(f"a fact is {', '.join(KINDS)}; {kind!r} is none of these")
        if not source:
            raise ValueError(f"the fact {value} needs a source")
        self = super().__new__(cls, value)
        self.source = source
        self.kind = kind
        return self

    def __repr__(self) -> str:
        return f"Fact({float(self):g}, {self.source!r}, {self.kind!r})"

    def __getnewargs__(self) -> tuple[float, str, Kind]:  # type: ignore[override]
        return (float(self), self.source, self.kind)

    def at(self, value: float) -> Fact:
        """The same fact with another value, for what-if questions."""
        return Fact(value, self.source, self.kind)


def published(value: float, source: str) -> Fact:
    """A number that stands in the cited source."""
    return Fact(value, source, "published")


def derived(value: float, how: str) -> Fact:
    """A number that follows from published ones; `how` shows the arithmetic."""
    return Fact(value, how, "derived")


def fitted(value: float, rows: str) -> Fact:
    """A number read off measurements; `rows` names them."""
    return Fact(value, rows, "fitted")


def assumed(value: float, why: str) -> Fact:
    """A number nobody published; `why` gives the reasoning."""
    return Fact(value, why, "assumed")
