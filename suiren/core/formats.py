"""Rounding to a chip's number formats: to nearest, ties to even, to the bit.

Values live in float64 arrays; after every instruction they are rounded to the format of the
tile they land in. One float64 operation followed by one rounding to a format of at most 24
bits is the correctly rounded operation (Figueroa 1995: 53 ≥ 2·24 + 2). NaN marks what was
never written, in integer tiles too.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from suiren.core.instruction import Array
from suiren.dtype import FORMATS, Format

#: Formats without infinities: the largest exponent holds numbers, and overflow becomes NaN.
_FINITE = {"f8e4m3": 448.0}


def round_to(values: Array, dtype: str) -> Array:
    """The nearest values of the format, as float64; integers wrap as their bits do."""
    form = FORMATS[dtype]
    if dtype == "f64" or not form.is_float:
        return values.astype(np.float64) if form.is_float else _wrap(values, form)
    if dtype == "f32":
        with np.errstate(over="ignore"):
            return values.astype(np.float32).astype(np.float64)
    if dtype == "f16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float64)
    return _rounded(values.astype(np.float64), form)


def _rounded(values: Array, form: Format) -> Array:
    bias = 2 ** (form.exponent - 1) - 1
    lowest = 1 - bias
    finite = np.isfinite(values)
    exponent = np.frexp(np.where(finite, values, 1.0))[1] - 1
    quantum = np.ldexp(1.0, np.maximum(exponent, lowest) - form.mantissa)
    rounded = np.where(finite, np.rint(np.where(finite, values, 0.0) / quantum) * quantum, values)
    largest = _largest(form.name)
    over = np.abs(rounded) > largest
    beyond = np.nan if form.name in _FINITE else np.inf
    return np.where(over & finite, np.copysign(beyond, rounded), rounded)


@lru_cache(maxsize=None)
def _largest(dtype: str) -> float:
    form = FORMATS[dtype]
    top = 2 ** (form.exponent - 1) - 1
    return float(_FINITE.get(dtype, (2 - 2.0**-form.mantissa) * 2.0**top))


def _wrap(values: Array, form: Format) -> Array:
    values = np.trunc(np.asarray(values, dtype=np.float64))
    if form.name == "b8":
        return np.where(np.isnan(values), values, (values != 0) * 1.0)
    if form.bits >= 64:
        return values
    span = 2.0**form.bits
    low = 0.0 if form.name.startswith("u") else -span / 2
    return np.mod(values - low, span) + low
