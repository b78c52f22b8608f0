"""Energy of a call: idle power, and what engines and memory add; never above the rating."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.hw.catalog import CARDS
from suiren.mapper.energy import (
    MATRIX_SHARE,
    MEMORY_SHARE,
    VECTOR_SHARE,
    dynamic_energy_j,
    energy_j,
)
from suiren.mapper.price import price
from suiren.trace.call import parse_call

TOY = CARDS["toy"]
ROOM_W = 100 - 20
LAW = settings(derandomize=True, deadline=None, max_examples=100)


def dynamic_j(line: str) -> float:
    return dynamic_energy_j(price(parse_call(line), TOY), TOY)


def test_a_product_that_fills_the_engine_draws_its_share() -> None:
    n = 8192
    line = f"aten::mm(self=bf16[{n},{n}],mat2=bf16[{n},{n}])->(bf16[{n},{n}])"
    matrix_s, moved = 2 * n**3 / 32.768e12, price(parse_call(line), TOY).memory_bytes
    expected = ROOM_W * (MATRIX_SHARE * matrix_s + MEMORY_SHARE * moved / 1e12)
    assert dynamic_j(line) == pytest.approx(expected)


def test_padding_costs_energy_too() -> None:
    small = "aten::mm(self=bf16[1,1],mat2=bf16[1,1])->(bf16[1,1])"
    matrix_s = 2 * 16**3 / 32.768e12
    assert dynamic_j(small) == pytest.approx(ROOM_W * MATRIX_SHARE * matrix_s, rel=1e-3)


def test_a_stream_draws_for_memory_and_lanes() -> None:
    n = 2**24
    line = f"aten::add.Tensor(self=f32[{n}],other=f32[{n}],alpha=1)->(f32[{n}])"
    memory_s, vector_s = 12 * n / 1e12, n / (16 * 64 * 1e9)
    expected = ROOM_W * (MEMORY_SHARE * memory_s + VECTOR_SHARE * vector_s)
    assert dynamic_j(line) == pytest.approx(expected)


def test_nothing_done_draws_idle_power() -> None:
    assert energy_j(0.0, 3.0, TOY) == pytest.approx(3 * 20)


def test_a_card_never_draws_more_than_its_rating() -> None:
    assert energy_j(1e9, 3.0, TOY) == pytest.approx(3 * 100)
    assert energy_j(10.0, 3.0, TOY) == pytest.approx(3 * 20 + 10)


@LAW
@given(card=st.sampled_from(list(CARDS.values())), j=st.floats(0, 1e6), s=st.floats(1e-9, 1e3))
def test_energy_lies_between_idle_and_rated(card: object, j: float, s: float) -> None:
    found = energy_j(j, s, card)
    assert card.idle_w * s * (1 - 1e-12) <= found <= card.tdp_w * s * (1 + 1e-12)
