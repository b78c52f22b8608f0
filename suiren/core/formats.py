"""Rounding to a chip's number formats, to the bit: to nearest with ties to even, or stochastic.

Values live in float64 arrays; after every instruction they are rounded to the format of the
tile they land in. One float64 operation followed by one rounding to a format of at most 24
bits is the correctly rounded operation (Figueroa 1995: 53 ≥ 2·24 + 2). NaN marks what was
never written, in integer tiles too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import numpy as np

from suiren.core.instruction import Array
from suiren.dtype import FORMATS, Format

Rounding = Literal["nearest", "stochastic"]
_rounds: ContextVar[bool] = ContextVar("rounds", default=True)


@contextmanager
def unrounded() -> Iterator[None]:
    """Floats stay float64 inside: what a kernel computes if no format were narrow."""
    token = _rounds.set(False)
    try:
        yield
    finally:
        _rounds.reset(token)


def round_to(
    values: Array, dtype: str, rounding: Rounding = "nearest", seed: int | None = None
) -> Array:
    """The values in the format, as float64; integers wrap as their bits do.

    `nearest` ties to even. `stochastic` takes one of the two neighbours, the upper one with
    the probability that makes the mean exact; the same seed draws the same. A value beyond the
    format's largest becomes what the format has for it: infinity, NaN, or the largest.
    Raises KeyError for an unknown format and ValueError for stochastic rounding without a seed.
    """
    form = FORMATS[dtype]
    if not form.is_float:
        return _wrap(values, form)
    if dtype == "f64" or not _rounds.get():
        return values.astype(np.float64)
    if rounding == "stochastic":
        if seed is None:
            raise ValueError("stochastic rounding needs a seed")
        return _rounded(values.astype(np.float64), form, np.random.default_rng(seed))
    if dtype == "f32":
        with np.errstate(over="ignore"):
            return values.astype(np.float32).astype(np.float64)
    if dtype == "f16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float64)
    return _rounded(values.astype(np.float64), form, None)


def _rounded(values: Array, form: Format, draw: np.random.Generator | None) -> Array:
    finite = np.isfinite(values)
    plain = np.where(finite, values, 0.0)
    exponent = np.frexp(np.where(plain == 0, 1.0, plain))[1] - 1
    quantum = np.ldexp(1.0, np.maximum(exponent, form.lowest_exponent) - form.mantissa)
    steps = plain / quantum
    if draw is None:
        steps = np.rint(steps)
    else:
        low = np.floor(steps)
        steps = low + (draw.random(values.shape) < steps - low)
    return _bounded(np.copysign(steps * quantum, plain), values, form)


def _bounded(rounded: Array, values: Array, form: Format) -> Array:
    """Special values as the format has them."""
    if not form.has_sign:  # powers of two only: neither zero nor a sign
        low = 2.0**form.lowest_exponent
        rounded = np.where((values >= 0) & (rounded < low), low, rounded)
        rounded = np.where(values < 0, np.nan, rounded)
    beyond = {"infinity": np.inf, "nan": np.nan, "largest": form.largest}[form.beyond]
    over = (np.abs(rounded) > form.largest) | np.isinf(values)
    rounded = np.where(over, np.copysign(beyond, rounded), rounded)
    rounded = np.where(np.isposinf(values), beyond, rounded)
    rounded = np.where(np.isneginf(values) & form.has_sign, -beyond, rounded)
    if not form.has_negative_zero:
        rounded = np.where(rounded == 0, 0.0, rounded)
    return np.where(np.isnan(values), np.nan, rounded)


def _wrap(values: Array, form: Format) -> Array:
    values = np.trunc(np.asarray(values, dtype=np.float64))
    if form.name == "b8":
        return np.where(np.isnan(values), values, (values != 0) * 1.0)
    if form.bits >= 64:
        return values
    span = 2.0**form.bits
    low = 0.0 if form.name.startswith("u") else -span / 2
    return np.mod(values - low, span) + low
