"""Convolutions as vendors' libraries run them: the fastest of a few algorithms, simulated.

Implicit product: a core makes a tile of results by filters, of depth channels · taps, and
gathers the input in flight; the input passes device memory once, whatever the taps. Winograd's
algorithm needs fewer multiply-adds for windows of 3×3 or 5×5 and stride 1: fused (2×2 results
from 4×4 inputs within one kernel) or in passes (4×4 results from a tile of inputs: transform,
a batch of products, transform back). The weight gradient is a product of depth images ·
positions; the gradient by the input is a convolution of the result's gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

from suiren.core.timing import Timing
from suiren.dtype import itemsize_bytes
from suiren.hw.fact import fitted
from suiren.hw.held import Held
from suiren.hw.spec import Card
from suiren.mapper.candidate import Candidate, Candidates, Shape
from suiren.mapper.estimate import Estimate
from suiren.mapper.menu import Offer, offers
from suiren.mapper.product import simulate
from suiren.mapper.stream import stream

PASSES = ("forward", "input", "weight")
#: Lane operations of one transformed number: rows and columns of sums in turn. Assumed.
_TRANSFORM_LANES = 6
#: Windows are read and written in runs of 9 to 36 numbers, which memory serves at a lower rate.
#: Set by hand on NeuSight conv rows of split `fit`, not fitted.
_FILTER_RUNS = 2.5
#: Rate of a family's FP32 convolutions beside the products that its facts were fitted on: a kernel
#: works out where every tap lies. Families without such rows are taken to lose nothing.
LANES_SHARE = {
    "volta": fitted(0.84, "conv rows of split `fit`, mean logarithm: NeuSight and DeepBench, V100"),
    "pascal": fitted(
        0.82, "conv rows of split `fit`, mean logarithm: NeuSight, P100, P4; DeepBench, Titan Xp"
    ),
}
#: The closed form orders the candidates; so many are simulated.
_TRIED = 4
_SPLITS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution in two dimensions, [N,C,H,W] by [K,C,R,S]."""

    images: int
    channels: int
    filters: int
    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dtype: str = "f32"

    @property
    def made(self) -> tuple[int, int]:
        """Positions of the result."""
        rows, cols = (
            max(1, (n + 2 * pad - taps) // step + 1)
            for n, pad, taps, step in zip(
                self.size, self.padding, self.window, self.stride, strict=True
            )
        )
        return rows, cols

    @property
    def taps(self) -> int:
        """Positions of the window."""
        return self.window[0] * self.window[1]

    @property
    def elements(self) -> tuple[int, int, int]:
        """Numbers of the input, the weight and the result."""
        made = self.made
        return (self.images * self.channels * self.size[0] * self.size[1],
                self.filters * self.channels * self.taps,
                self.images * self.filters * made[0] * made[1])  # fmt: skip

    def turned(self) -> Convolution:
        """The convolution that gives the input's gradient, for stride 1."""
        pad = (self.window[0] - 1 - self.padding[0], self.window[1] - 1 - self.padding[1])
        return replace(self, channels=self.filters, filters=self.channels, size=self.made,
                       padding=(max(0, pad[0]), max(0, pad[1])))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """One algorithm: its kernels in order."""

    name: str
    kernels: tuple[Timing, ...]

    def seconds(self, card: Card) -> float:
        """All kernels with their launches."""
        return sum(k.seconds for k in self.kernels) + len(self.kernels) * card.launch_s


def convolve(what: Convolution, direction: str, card: Card, like: Card | None = None) -> Way:
    """The fastest way to run a pass (one of PASSES) of a convolution on a card.

    With `like`, the algorithm and tiles that are the fastest on that card instead.
    """
    if like is None:
        return _fastest(what, direction, Held(card))
    return _alike(what, direction, Held(card), Held(like))


#: Tiles by shape, shares that are near, and the card they were chosen for.
_CHOSEN: dict[tuple[Shape, tuple[tuple[str, float], ...], Held], Candidate] = {}


@lru_cache(maxsize=65536)
def _fastest(what: Convolution, direction: str, held: Held) -> Way:
    card = held.card
    best = min(_ways(what, direction, card), key=lambda way: way.seconds(card))
    return _slowed(best, what, card)


def _slowed(way: Way, what: Convolution, card: Card) -> Way:
    share = LANES_SHARE.get(card.chip.family)
    if share is None or what.dtype != "f32":
        return way
    slow = 1 / float(share)
    return Way(way.name, tuple(
        replace(k, seconds=k.seconds * slow, parts_s={p: s * slow for p, s in k.parts_s.items()})
        for k in way.kernels
    ))  # fmt: skip


@lru_cache(maxsize=65536)
def _alike(what: Convolution, direction: str, held: Held, like: Held) -> Way:
    name = _fastest(what, direction, like).name
    ways = _ways(what, direction, held.card, like.card)
    return _slowed(next(way for way in ways if way.name == name), what, held.card)


def _ways(what: Convolution, direction: str, card: Card, like: Card | None = None) -> Iterator[Way]:
    if what.dtype == "f16" and (what.channels % 8 or what.filters % 8):
        what = replace(what, dtype="f32")  # tensor cores take channels in eights
    one = implicit(what, direction, card, like)
    if direction == "input" and what.taps == 1 and what.stride != (1, 1):
        zeros = stream(0, what.elements[0] * itemsize_bytes(what.dtype), 0, 0, what.dtype, card)
        yield Way("implicit", (zeros, one))
        return
    yield Way("implicit", (one,))
    if direction == "input" and what.taps > 1:
        yield Way("columns", columns(what, card, like))
    if what.window in ((3, 3), (5, 5)) and what.stride == (1, 1) and what.dtype == "f32":
        turned = what.turned() if direction == "input" else what
        if direction != "weight" and what.taps == 9:
            yield Way("fused winograd", fused(turned, card))
        if direction != "weight" or what.taps == 9:
            yield Way("winograd", passes(turned, card, direction == "weight", like))


def implicit(what: Convolution, direction: str, card: Card, like: Card | None = None) -> Timing:
    """One product that gathers its operand: [positions, taps · channels] by the weight."""
    x, _, y = what.elements
    rows, cols = what.made
    results = what.images * rows * cols
    if direction == "forward":
        a, b, c, true = results, what.channels * what.taps, what.filters, x
    elif direction == "input":
        pixels = what.images * what.size[0] * what.size[1]
        # a strided result is spread out with zeros in between, which are multiplied too
        a, b = (results if what.taps == 1 else pixels), what.filters * what.taps
        c, true = what.channels, y
    else:
        a, b, c, true = what.channels * what.taps, results, what.filters, x
    near = max(0.0, 1 - true / (a * b))
    one = product(Shape(1, a, c, b, what.dtype, what.dtype), card, {"a": near}, like)
    two = product(Shape(1, c, a, b, what.dtype, what.dtype), card, {"b": near}, like)
    return min(one, two, key=lambda t: t.seconds)


def columns(what: Convolution, card: Card, like: Card | None = None) -> tuple[Timing, ...]:
    """Every tap's part of the input's gradient as a product, then their sum where they meet."""
    x, _, _ = what.elements
    results = what.images * what.made[0] * what.made[1]
    item, parts = itemsize_bytes(what.dtype), what.channels * what.taps * results
    shape = Shape(1, what.channels * what.taps, results, what.filters, what.dtype, what.dtype)
    add = stream(parts * item, x * item, parts, 0, what.dtype, card)
    return product(shape, card, {}, like), add


def product(shape: Shape, card: Card, warm: dict[str, float], like: Card | None = None) -> Timing:
    """The fastest of the library's tiles for a product whose operands are partly near.

    With `like`, the tile that was chosen on that card.
    """
    near = tuple(sorted(warm.items()))
    chosen = None if like is None else _CHOSEN.get((shape, near, Held(like)))
    if chosen is not None:
        return simulate(shape, card, chosen, 1.0, warm)
    estimate = Estimate(shape, card, 1.0, warm)
    itemsize_bytes(shape.dtype)
    menu = offers(card, shape.dtype, shape.dtype, estimate.engine, shape.batch > 1)
    ways = []
    for offer in menu:
        blocks = -(-shape.k // offer.tk)
        tiles = shape.batch * -(-shape.m // offer.tm) * -(-shape.n // offer.tn)
        for splits in _SPLITS if shape.batch == 1 and tiles < 2 * card.cores else (1,):
            if splits <= blocks:
                ways.append((offer, splits, -(-blocks // splits)))
    guesses = estimate.seconds(Candidates.of(ways))
    found = [Candidate(offer, ceil(ceil(shape.k / offer.tk) / run), float(guess))
             for (offer, _, run), guess in zip(ways, guesses, strict=True)]  # fmt: skip
    found.sort(key=lambda c: c.guess_s)
    timed = [(simulate(shape, card, c, 1.0, warm), c) for c in found[:_TRIED]]
    timing, _CHOSEN[shape, near, Held(card)] = min(timed, key=lambda pair: pair[0].seconds)
    return timing


def fused(what: Convolution, card: Card) -> tuple[Timing, ...]:
    """Filters transformed, then 32 filters by 8×16 results a core, 16 products for 4 results."""
    x, w, _ = what.elements
    rows, cols = what.made
    blocks = what.images * -(-rows // 8) * -(-cols // 16)
    shape = Shape(1, 128 * blocks, what.filters, 4 * what.channels, what.dtype, what.dtype)
    near = max(0.0, 1 - x / (shape.m * shape.k))
    tile = Offer(128, 32, 32, 2, 2, True)
    item = itemsize_bytes(what.dtype)
    made = 16 * w // what.taps
    return (
        stream(w * item, made * item, _TRANSFORM_LANES * made, 0, what.dtype, card),
        simulate(shape, card, Candidate(tile, 1, 0.0), 1.0, {"a": near}),
    )


def passes(
    what: Convolution, card: Card, weight: bool = False, like: Card | None = None
) -> tuple[Timing, ...]:
    """Both operands transformed, their products in a batch, the result transformed back."""
    _, w, y = what.elements
    rows, cols = what.made
    item, dtype = itemsize_bytes(what.dtype), what.dtype
    tiles = what.images * -(-rows // 4) * -(-cols // 4)
    points = (what.window[0] + 3) * (what.window[1] + 3)
    data, made = points * tiles * what.channels, points * tiles * what.filters
    taps = points * w // what.taps

    def transform(before: float, after: float) -> Timing:
        return stream(before * item, after * item, _TRANSFORM_LANES * max(before, after), 0,
                      dtype, card)  # fmt: skip

    if weight:
        shape = Shape(points, what.filters, what.channels, tiles, dtype, dtype)
        return (transform(data, data), transform(made, made), product(shape, card, {}, like),
                transform(_FILTER_RUNS * taps, _FILTER_RUNS * w))  # fmt: skip
    shape = Shape(points, what.filters, tiles, what.channels, dtype, dtype)
    # tiles of the input overlap, and every one is loaded whole
    return (transform(_FILTER_RUNS * w, _FILTER_RUNS * taps), transform(data, data),
            product(shape, card, {}, like), transform(made, y))  # fmt: skip
