"""Formats against an independent reference: ml_dtypes, and integer arithmetic for TF32."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.core.formats import round_to, unrounded
from suiren.dtype import FORMATS

REFERENCE = {
    "bf16": ml_dtypes.bfloat16, "f16": np.float16, "f8e4m3": ml_dtypes.float8_e4m3fn,
    "f8e5m2": ml_dtypes.float8_e5m2, "f8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "f8e5m2fnuz": ml_dtypes.float8_e5m2fnuz, "f6e2m3": ml_dtypes.float6_e2m3fn,
    "f6e3m2": ml_dtypes.float6_e3m2fn, "f4e2m1": ml_dtypes.float4_e2m1fn,
    "f8e8m0": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip
SIGNED = [name for name in REFERENCE if name != "f8e8m0"]
ROUNDED = [*SIGNED, "tf32"]
FLOATS = st.floats(width=32, allow_nan=False)


def codes(name: str) -> np.ndarray:
    """Every value of the format, by its codes."""
    kind = np.dtype(REFERENCE[name])
    bits = FORMATS[name].bits
    raw = np.arange(2**bits, dtype=np.uint16 if bits == 16 else np.uint8)
    with np.errstate(all="ignore"):
        return raw.view(kind).astype(np.float64)


def same(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Equal values with equal signs, or both NaN."""
    equal = (ours == theirs) & (np.signbit(ours) == np.signbit(theirs))
    return equal | (np.isnan(ours) & np.isnan(theirs))


def reference(values: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(np.float32).astype(REFERENCE[name]).astype(np.float64)


def tf32_by_integers(value: float) -> float:
    """Ten bits of mantissa, to nearest with ties to even, in integers alone."""
    if not math.isfinite(value) or value == 0:
        return value
    exact = abs(Fraction(value))
    exponent = max(math.frexp(value)[1] - 1, -126)
    steps = exact / Fraction(2) ** (exponent - 10)
    whole, rest = divmod(steps.numerator, steps.denominator)
    twice = 2 * rest
    up = twice > steps.denominator or (twice == steps.denominator and whole % 2 == 1)
    rounded = float(Fraction(whole + up) * Fraction(2) ** (exponent - 10))
    largest = (2 - 2.0**-10) * 2.0**127
    return math.copysign(math.inf if rounded > largest else rounded, value)


@pytest.mark.parametrize("name", REFERENCE)
def test_every_code_of_a_format_is_kept(name: str) -> None:
    values = codes(name)
    assert same(round_to(values, name), values).all()


@pytest.mark.parametrize("name", SIGNED)
def test_halfway_between_neighbours_goes_to_even(name: str) -> None:
    """Every midpoint of two neighbours, and what lies just beside it."""
    finite = np.unique(codes(name)[np.isfinite(codes(name))])
    middle = (finite[:-1] + finite[1:]) / 2
    exact = middle[middle.astype(np.float32) == middle].astype(np.float32)
    values = np.concatenate(
        [exact, np.nextafter(exact, np.float32(np.inf)), np.nextafter(exact, np.float32(-np.inf))]
    )
    assert len(exact) > 0.9 * len(middle) or name == "bf16"
    assert same(round_to(values.astype(np.float64), name), reference(values, name)).all()


@pytest.mark.parametrize("name", SIGNED)
def test_a_spread_of_all_floats_rounds_as_the_reference_does(name: str) -> None:
    every = np.arange(0, 2**32, 65521, dtype=np.uint64).astype(np.uint32)
    with np.errstate(invalid="ignore"):
        values = every.view(np.float32).astype(np.float64)
    if FORMATS[name].beyond == "largest":
        values = values[~np.isnan(values)]  # a format without NaN keeps ours as a mark
    assert same(round_to(values, name), reference(values, name)).all()


@pytest.mark.parametrize("name", ROUNDED)
@settings(max_examples=100, deadline=None)
@given(value=FLOATS)
def test_any_float_rounds_as_the_reference_does(name: str, value: float) -> None:
    ours = round_to(np.array([value]), name)
    theirs = np.array([tf32_by_integers(value)]) if name == "tf32" else None
    if theirs is None:
        theirs = reference(np.array([value]), name)
    assert same(ours, theirs).all(), (ours, theirs)


@settings(max_examples=100, deadline=None)
@given(exponent=st.integers(-125, 126), fraction=st.floats(1, 2, exclude_max=True, width=32))
def test_a_scale_is_the_nearest_power_of_two(exponent: int, fraction: float) -> None:
    value = np.array([fraction * 2.0**exponent])
    assert round_to(value, "f8e8m0") == reference(value, "f8e8m0")


@settings(max_examples=60, deadline=None)
@given(values=st.lists(FLOATS, min_size=1, max_size=32))
def test_the_device_rounds_to_tf32_to_the_bit(values: list[float]) -> None:
    import torch

    from suiren.torch import _shim

    card = _shim.round_to_tf32(torch.tensor(values, dtype=torch.float32)).double().numpy()
    assert same(card, np.array([tf32_by_integers(v) for v in values])).all()


# ---- stochastic rounding


@pytest.mark.parametrize("name", ROUNDED)
def test_stochastic_rounding_takes_a_neighbour_and_is_right_on_average(name: str) -> None:
    form = FORMATS[name]
    value = 1.0 + 0.3 * 2.0**-form.mantissa
    count = 40_000
    drawn = round_to(np.full(count, value), name, rounding="stochastic", seed=7)
    assert set(np.unique(drawn)) == {1.0, 1.0 + 2.0**-form.mantissa}
    deviation = 0.5 * 2.0**-form.mantissa / math.sqrt(count)
    assert abs(drawn.mean() - value) < 4 * deviation


@pytest.mark.parametrize("name", SIGNED)
def test_stochastic_rounding_leaves_exact_values_alone(name: str) -> None:
    values = codes(name)
    assert same(round_to(values, name, rounding="stochastic", seed=1), values).all()


@pytest.mark.parametrize("name", ["bf16", "f16", "f8e4m3", "f32"])
@settings(max_examples=60, deadline=None)
@given(value=st.floats(-400, 400), seed=st.integers(0, 2**32 - 1))
def test_stochastic_rounding_stays_between_the_neighbours(
    name: str, value: float, seed: int
) -> None:
    drawn = float(round_to(np.array([value]), name, rounding="stochastic", seed=seed)[0])
    form = FORMATS[name]
    exponent = max(math.frexp(value)[1] - 1, form.lowest_exponent) if value else 0
    assert abs(drawn - value) < 2.0 ** (exponent - form.mantissa) or drawn == value
    again = round_to(np.array([value]), name, rounding="stochastic", seed=seed)
    assert float(again[0]) == drawn


def test_stochastic_rounding_asks_for_a_seed() -> None:
    with pytest.raises(ValueError, match="needs a seed"):
        round_to(np.zeros(1), "bf16", rounding="stochastic")


# ---- what a format is


@pytest.mark.parametrize("name", REFERENCE)
def test_limits_are_the_references(name: str) -> None:
    limits = ml_dtypes.finfo(REFERENCE[name])
    assert FORMATS[name].largest == float(limits.max)
    assert FORMATS[name].smallest_normal == float(limits.smallest_normal)


def test_integers_wrap_and_floats_pass_where_nothing_is_rounded() -> None:
    with unrounded():
        assert round_to(np.array([1 + 2.0**-40]), "bf16")[0] == 1 + 2.0**-40
        assert round_to(np.array([257.0]), "u8")[0] == 1
    assert round_to(np.array([1 + 2.0**-40]), "bf16")[0] == 1
