"""The arithmetic of a convolution's window, one spatial dimension at a time.

A convolution sums, for every position of its result, inputs at several taps of a window. So
does its gradient by the input, which runs the window backwards: with a stride, positions of
the input fall into classes (their remainders by the stride) that meet different taps, and
within a class everything is affine again. An `Axis` holds one class of one dimension, so
that one kernel body serves both directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import gcd
from typing import Any

from suiren.core.index import Index, Range
from suiren.core.tile import KernelMistake, Tensor


@dataclass(frozen=True)
class Axis:
    """Result number `q` of a class takes the input at `read(q, j)` through tap `tap(j)`."""

    results: int
    """Positions of the result in this class."""
    taps: int
    """Taps that every one of them meets; j counts them."""
    place: tuple[int, int] = (1, 0)
    """Position in the result: a step for every q, and the first."""
    source: tuple[int, int, int] = (1, 1, 0)
    """Position in the input: a step for every q, one for every j, and the first."""
    window: tuple[int, int] = (1, 0)
    """Tap: a step for every j, and the first."""

    def write(self, q: Range) -> Range:
        """Positions in the result."""
        return q * self.place[0] + self.place[1]

    def read(self, q: Range, j: Index) -> Range:
        """Positions in the input."""
        return q * self.source[0] + (j * self.source[1] + self.source[2])

    def tap(self, j: Index) -> Index:
        """The tap of the window."""
        return j * self.window[0] + self.window[1]


@dataclass(frozen=True)
class Window:
    """Stride, padding and dilation, each a number or one for every spatial dimension."""

    taps: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    @classmethod
    def of(
        cls, taps: Sequence[int], stride: int | Sequence[int], padding: int | Sequence[int],
        dilation: int | Sequence[int],
    ) -> Window:  # fmt: skip
        """Numbers stand for all dimensions alike."""
        each = [(v,) * len(taps) if isinstance(v, int) else tuple(v)
                for v in (stride, padding, dilation)]  # fmt: skip
        if any(len(v) != len(taps) for v in each):
            raise KernelMistake(f"stride, padding and dilation {each} of a window of "
                                f"{len(taps)} dimensions")  # fmt: skip
        return cls(tuple(taps), *each)

    def forward(self, results: Sequence[int]) -> list[tuple[Axis, ...]]:
        """The one class of a convolution, for a result of these spatial sizes."""
        rows = zip(results, self.taps, self.stride, self.padding, self.dilation, strict=True)
        return [tuple(Axis(n, taps, source=(step, far, -pad)) for n, taps, step, pad, far in rows)]

    def backward(self, results: Sequence[int]) -> list[tuple[Axis, ...]]:
        """The classes of its gradient by an input of these spatial sizes; the largest first."""
        rows = zip(results, self.taps, self.stride, self.padding, self.dilation, strict=True)
        return list(product(*(_classes(*row) for row in rows)))


def _classes(size: int, taps: int, stride: int, padding: int, dilation: int) -> list[Axis]:
    """Input positions `first + stride·q`: those of one remainder meet every `apart`-th tap."""
    apart = stride // gcd(stride, dilation)
    found = []
    for first in range(min(stride, size)):
        met = [r for r in range(taps) if (first + padding - r * dilation) % stride == 0]
        start = met[0] if met else 0
        source = (1, -apart * dilation // stride, (first + padding - start * dilation) // stride)
        results = -(-(size - first) // stride)
        found.append(Axis(results, len(met), (stride, first), source, (apart, start)))
    return found


def read(axes: Sequence[Axis], places: Sequence[Range], taps: Sequence[Index]) -> list[Range]:
    """Positions in the input that results at `places` take through taps number `taps`."""
    return [axis.read(q, j) for axis, q, j in zip(axes, places, taps, strict=True)]


def box(pixels: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """Sizes of a box of about `pixels` positions, inner dimensions first, cut into equal parts."""
    found: list[int] = []
    for size in reversed(sizes):
        parts = -(-size // max(1, pixels))
        found.append(-(-size // parts))
        pixels //= found[-1]
    return tuple(reversed(found))


def nest(*loops: Iterator[Any]) -> Iterator[tuple[Any, ...]]:
    """Loops inside one another, the last innermost."""
    if not loops:
        yield ()
        return
    for first in loops[0]:
        for rest in nest(*loops[1:]):
            yield (first, *rest)


def channels_second(tensor: Tensor) -> Tensor:
    """A tensor [N,…,C] as [N,C,…]; nothing is moved."""
    last = len(tensor.shape) - 1
    return tensor.permute(0, last, *range(1, last))
