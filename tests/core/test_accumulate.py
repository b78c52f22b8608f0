"""A product in an engine's own order, against the same written out in fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from suiren.core.accumulate import product
from suiren.core.formats import round_to
from suiren.hw.accumulate import MULTIPLIED, Accumulation, accumulation, stored_formats
from suiren.hw.catalog import CARDS
from suiren.hw.load import resolve_card

STORED = {"bf16": "bf16", "fp16": "f16", "tf32": "tf32", "fp8": "f8e4m3"}
ROWS = [("t21", "bf16"), ("v100", "fp16"), ("a100", "bf16"), ("a100", "tf32"), ("h100", "fp16"),
        ("h100", "fp8")]  # fmt: skip


def exponent_of(value: Fraction) -> int:
    """Of the leading bit."""
    exponent = value.numerator.bit_length() - value.denominator.bit_length()
    return exponent - (abs(value) < Fraction(2) ** exponent)


def cut(value: Fraction, exponent: int, bits: int, truncates: bool) -> Fraction:
    """The value in steps of 2^(exponent - bits)."""
    step = Fraction(2) ** (exponent - bits)
    steps = abs(value) / step
    whole = math.floor(steps) if truncates else round(steps)
    return (whole if value >= 0 else -whole) * step


def by_fractions(a: list[float], b: list[float], how: Accumulation) -> float:
    """One element: blocks in order, aligned to the largest term, cut to the accumulator."""
    total = Fraction(0)
    block = int(how.block_k)
    for k in range(0, len(a), block):
        terms = [total, *(Fraction(x) * Fraction(y) for x, y in
                          zip(a[k : k + block], b[k : k + block], strict=True))]  # fmt: skip
        largest = max(terms, key=abs)
        if how.aligned_bits and largest:
            terms = [cut(t, exponent_of(abs(largest)), int(how.aligned_bits), True) for t in terms]
        total = sum(terms, Fraction(0))
        if total:
            at = max(exponent_of(abs(total)), -126)
            total = cut(total, at, int(how.mantissa_bits), how.truncates)
    return float(total)


def operands(
    peak: str, rows: int, terms: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    a, b = draw.standard_normal((rows, terms)), draw.standard_normal((terms, columns))
    return round_to(a, STORED[peak]), round_to(b, STORED[peak])


@pytest.mark.parametrize(("chip", "peak"), ROWS)
def test_the_sum_is_the_one_written_out_in_fractions(chip: str, peak: str) -> None:
    a, b = operands(peak, 4, 77, 5)
    a[1] *= 2.0 ** np.arange(-38, 39).clip(-6, 6)  # terms of many sizes
    a = round_to(a, STORED[peak])
    how = accumulation(resolve_card(chip), peak)
    ours = product(a, b, how)
    for i, row in enumerate(a):
        for j, column in enumerate(b.T):
            assert ours[i, j] == by_fractions(row.tolist(), column.tolist(), how), (i, j)


@pytest.mark.parametrize(("chip", "peak"), [row for row in ROWS if row != ("h100", "fp8")])
def test_a_wide_accumulator_stays_within_the_bound_of_fp32(chip: str, peak: str) -> None:
    terms = 512
    a, b = operands(peak, 16, terms, 16)
    off = np.abs(product(a, b, accumulation(resolve_card(chip), peak)) - a @ b)
    assert (off <= 2 * terms * 2.0**-24 * (np.abs(a) @ np.abs(b))).all()
    assert (off > 0).any()


def test_fp8_on_hopper_is_visibly_worse() -> None:
    """Fourteen bits: summed as the FP16 engine would, the same operands are far closer."""
    a, b = operands("fp8", 16, 2048, 16)
    h100 = resolve_card("h100")
    exact = a @ b
    narrow = np.abs(product(a, b, accumulation(h100, "fp8")) - exact).max()
    wide = np.abs(product(a, b, accumulation(h100, "fp16")) - exact).max()
    assert narrow > 100 * wide
    assert narrow / np.abs(exact).max() > 1e-3


def test_every_card_says_how_it_sums() -> None:
    for card in CARDS.values():
        for peak in MULTIPLIED:
            if peak not in card.formats():
                continue
            for name, fact in accumulation(card, peak).facts():
                assert fact.source, (card.name, peak, name)


def test_a_format_that_a_card_does_not_multiply() -> None:
    with pytest.raises(KeyError):
        accumulation(resolve_card("v100"), "fp8")


def test_the_variant_of_fp8_is_the_familys() -> None:
    assert "f8e4m3fnuz" in stored_formats(resolve_card("mi300x"))
    assert "f8e4m3" in stored_formats(resolve_card("h100"))
    assert not [f for f in stored_formats(resolve_card("t21")) if f.startswith("f8")]


def test_shapes_that_do_not_meet() -> None:
    with pytest.raises(ValueError, match="no product"):
        product(np.zeros((2, 3)), np.zeros((4, 2)), accumulation(resolve_card("t21"), "bf16"))
