"""Every instruction of a core, once: what it means, when it is legal, which engine, how much work.

`meaning` is the definition: a NumPy function of the source tiles (and, for instructions that
accumulate, of the destination first). The emulator runs it, the contract suite compares
kernels made of it with PyTorch, and `pace.py` turns `lanes`, `special` and products into time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log2
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from suiren.core.tile import KernelMistake

Engine = Literal["matrix", "vector", "special"]
Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One row of the instruction set."""

    name: str
    engine: Engine
    meaning: Callable[..., Array]
    """Source arrays in, destination array out."""
    shape: Callable[..., Shape]
    """Source shapes in, destination shape out; raises KernelMistake where they do not fit."""
    lanes: float = 0.0
    """Lane operations an element of the largest operand; a fused multiply-add is one."""
    special: float = 0.0
    """Special-function results an element."""
    accumulates: bool = False
    """True if the destination's old content is an operand."""
    log_factor: bool = False
    """True if the work grows with the logarithm of the row, as a sorting network's does."""


@lru_cache(maxsize=4096)
def _same(*shapes: Shape) -> Shape:
    """NumPy's broadcasting: sizes agree, or one of them is 1."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        shown = " and ".join(str(list(s)) for s in shapes)
        raise KernelMistake(
            f"tiles of {shown} do not broadcast; sizes must agree or be 1"
        ) from None


def _product(
    acc: Shape, x: Shape, y: Shape, transpose_x: bool = False, transpose_y: bool = False
) -> Shape:
    for name, shape in (("accumulator", acc), ("first operand", x), ("second operand", y)):
        if len(shape) != 2:
            raise KernelMistake(f"the {name} of a product is a matrix; {list(shape)} is not")
    m, k = x[::-1] if transpose_x else x
    k2, n = y[::-1] if transpose_y else y
    if k != k2:
        raise KernelMistake(
            f"inner sizes of a product differ: [{m}, {k}] × [{k2}, {n}]; {k} is not {k2}"
        )
    if acc != (m, n):
        raise KernelMistake(f"a product [{m}, {k}] × [{k}, {n}] needs an accumulator [{m}, {n}], "
                            f"not {list(acc)}")  # fmt: skip
    return (m, n)


def _matmul(
    acc: Array, x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False
) -> Array:
    return acc + (x.T if transpose_x else x) @ (y.T if transpose_y else y)  # type: ignore[no-any-return]


def _fresh(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False) -> Array:
    return np.asarray((x.T if transpose_x else x) @ (y.T if transpose_y else y))


def _fresh_shape(x: Shape, y: Shape, transpose_x: bool = False, transpose_y: bool = False) -> Shape:
    """A product's own size is all that it needs of its destination."""
    rows, cols = (x[::-1] if transpose_x else x)[:1], (y[::-1] if transpose_y else y)[1:]
    return _product(rows + cols, x, y, transpose_x, transpose_y)


def _row(shape: Shape, axis: int = 1) -> Shape:
    if not 0 <= axis < len(shape):
        raise KernelMistake(f"axis {axis} of a tile of {len(shape)} dimensions {list(shape)}")
    return tuple(1 if d == axis else size for d, size in enumerate(shape))


def _turned(shape: Shape) -> Shape:
    if len(shape) != 2:
        raise KernelMistake(f"a transpose needs a matrix; {list(shape)} is not")
    return (shape[1], shape[0])


def _keep(shape: Shape, **_: object) -> Shape:
    return shape


def _erf(x: Array) -> Array:
    """Abramowitz and Stegun 7.1.26 refined by one series: float64 accuracy through `math.erf`."""
    from math import erf

    return np.vectorize(erf, otypes=[np.float64])(x)  # type: ignore[no-any-return]


def _over(fold: Callable[..., Any]) -> Callable[..., Array]:
    def meaning(x: Array, axis: int = 1) -> Array:
        return np.asarray(fold(x, axis=axis, keepdims=True))

    return meaning


def _sort(x: Array, axis: int = 1, descending: bool = False) -> Array:
    ordered = np.sort(x, axis=axis, kind="stable")
    return np.flip(ordered, axis) if descending else ordered


def _argsort(x: Array, axis: int = 1, descending: bool = False) -> Array:
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # a stable descending order: the first of two equals comes first
    turned = np.flip(x, axis)
    order = np.flip(np.argsort(turned, axis=axis, kind="stable"), axis)
    return np.asarray(x.shape[axis] - 1 - order)


def _merge_order(x: Array, axis: int = 1, descending: bool = False) -> Array:
    """The order that sorts rows made of two sorted runs, the first run first among equals."""
    return _argsort(x, axis, descending)


def _take(x: Array, places: Array, axis: int = 1) -> Array:
    return np.take_along_axis(x, places.astype(np.int64), axis=axis)


def _places(x: Shape, places: Shape, axis: int = 1) -> Shape:
    if len(x) != len(places):
        raise KernelMistake(f"take: a tile of {list(x)} and places of {list(places)} differ in "
                            "their number of dimensions")  # fmt: skip
    return places


def _select(mask: Array, a: Array, b: Array) -> Array:
    return np.asarray(np.where(mask != 0, a, b))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _random(position: Array, seed: Array) -> Array:
    """Uniform numbers in [0, 1): one word of `philox` for every position."""
    place = np.asarray(position, dtype=np.float64).astype(np.uint64)
    words = philox(place >> np.uint64(2), int(seed))
    word = np.take_along_axis(words, (place & np.uint64(3)).astype(np.int64)[None], axis=0)[0]
    return np.asarray((word >> np.uint64(8)) * 2.0**-24)


def philox(counter: Array, key: int) -> Array:
    """Four 32-bit words for every 64-bit counter: Philox 4x32-10 (Salmon et al. 2011)."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    c0, c1 = counter & low, counter >> half
    c2 = c3 = np.zeros_like(c0)
    k0, k1 = key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF
    for _ in range(10):
        x, y = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c2 = (y >> half) ^ c1 ^ np.uint64(k0), (x >> half) ^ c3 ^ np.uint64(k1)
        c1, c3 = y & low, x & low
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])


def _vector(name: str, meaning: Callable[..., Array], lanes: float = 1.0) -> Instruction:
    return Instruction(name, "vector", meaning, _same, lanes)


def _special(name: str, meaning: Callable[..., Array], lanes: float = 0.0) -> Instruction:
    return Instruction(name, "special", meaning, _same, lanes, 1.0)


def _fold(name: str, fold: Callable[..., Any], lanes: float = 1.0) -> Instruction:
    return Instruction(name, "vector", _over(fold), _row, lanes)


_ALL = (
    Instruction("matmul", "matrix", _matmul, _product, accumulates=True),
    # the same into an accumulator whose old content does not matter: no lane clears it first
    Instruction("product", "matrix", _fresh, _fresh_shape),
    # one lane operation an element
    _vector("add", np.add), _vector("sub", np.subtract), _vector("mul", np.multiply),
    _vector("maximum", np.maximum), _vector("minimum", np.minimum), _vector("neg", np.negative),
    _vector("abs", np.abs), _vector("sign", np.sign), _vector("floor", np.floor),
    _vector("ceil", np.ceil), _vector("round", np.rint), _vector("trunc", np.trunc),
    _vector("fma", lambda a, b, c: a * b + c), _vector("cast", lambda a: a, 0.25),
    _vector("eq", np.equal), _vector("ne", np.not_equal), _vector("lt", np.less),
    _vector("le", np.less_equal), _vector("gt", np.greater), _vector("ge", np.greater_equal),
    _vector("both", np.logical_and), _vector("either", np.logical_or),
    _vector("negate", np.logical_not),
    _vector("select", _select),
    _vector("fill", lambda value: value),
    _vector("remainder", np.mod, 4),
    _vector("floor_divide", np.floor_divide, 4),
    # special functions: one result of the special unit, and lane operations around it
    _special("exp", np.exp), _special("log", np.log), _special("sqrt", np.sqrt),
    _special("rsqrt", lambda x: 1.0 / np.sqrt(x)), _special("reciprocal", lambda x: 1.0 / x),
    _special("tanh", np.tanh), _special("sigmoid", _sigmoid, 2), _special("sin", np.sin, 2),
    _special("cos", np.cos, 2), _special("erf", _erf, 6), _special("div", np.divide, 2),
    _special("pow", np.power, 3), _special("atan", np.arctan, 8), _special("exp2", np.exp2),
    # along an axis
    _fold("row_sum", np.sum), _fold("row_max", np.max), _fold("row_min", np.min),
    _fold("row_prod", np.prod), _fold("row_argmax", np.argmax, 2),
    _fold("row_argmin", np.argmin, 2),
    Instruction("scan_sum", "vector", lambda x, axis=1: np.cumsum(x, axis), _keep, 2.0),
    Instruction("scan_prod", "vector", lambda x, axis=1: np.cumprod(x, axis), _keep, 2.0),
    Instruction("scan_max", "vector", lambda x, axis=1: np.maximum.accumulate(x, axis), _keep, 2.0),
    Instruction("sort", "vector", _sort, _keep, 1.0, log_factor=True),
    Instruction("argsort", "vector", _argsort, _keep, 1.5, log_factor=True),
    # each lane finds where its share starts by bisection, then merges it one by one
    Instruction("merge_order", "vector", _merge_order, _keep, 8.0),
    Instruction("take", "vector", _take, _places, 2.0),
    # ten rounds of eight lane operations make four words; then a conversion and a product
    Instruction("random", "vector", _random, _same, 22.0),
    Instruction("transpose", "vector", lambda x: x.T, _turned, 1.0),
)  # fmt: skip

INSTRUCTIONS: Mapping[str, Instruction] = {i.name: i for i in _ALL}


def network_steps(size: int) -> float:
    """Compare-exchange steps of a bitonic network over a row: log2(n)·(log2(n)+1)/2."""
    levels = log2(max(2, size))
    return levels * (levels + 1) / 2
