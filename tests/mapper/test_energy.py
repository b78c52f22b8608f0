"""Energy of a call: what engines and bytes add to idle power; never above the rating."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program_lines import program, step

from suiren.hw.catalog import CARDS
from suiren.mapper.energy import energy_j
from suiren.mapper.power import mac_j
from suiren.mapper.price import price
from suiren.mapper.step import Prices, steady_step, under_the_limit
from suiren.trace.call import parse_call
from suiren.units import PS_PER_S

TOY = CARDS["toy"]
LAW = settings(derandomize=True, deadline=None, max_examples=100)


def mm(n: int, dtype: str = "bf16") -> str:
    return f"aten::mm(self={dtype}[{n},{n}],mat2={dtype}[{n},{n}])->({dtype}[{n},{n}])"


def test_a_product_takes_energy_for_every_multiply_accumulate() -> None:
    found = price(parse_call(mm(8192)), TOY)
    assert found.engine_j >= 8192**3 * mac_j(TOY, "bf16")
    assert found.engine_j <= 1.1 * 8192**3 * mac_j(TOY, "bf16")


def test_bytes_take_energy_at_each_level() -> None:
    found, pace = price(parse_call(mm(8192)), TOY), TOY.pace
    expected = found.memory_bytes * pace.memory_byte_j + found.l2_bytes * pace.l2_byte_j
    assert found.memory_j == pytest.approx(expected)


def test_padding_costs_energy_too() -> None:
    line = "aten::bmm(self=bf16[2,1,1],mat2=bf16[2,1,1])->(bf16[2,1,1])"
    assert price(parse_call(line), TOY).engine_j >= 2 * 16**3 * mac_j(TOY, "bf16")


def test_a_chip_that_skips_zeros_takes_no_energy_for_padding() -> None:
    line = "aten::bmm(self=bf16[2,1,17],mat2=bf16[2,17,1])->(bf16[2,1,1])"
    t21 = CARDS["t21"]
    found = price(parse_call(line), t21)
    products_j = 2 * 17 * mac_j(t21, "bf16")
    assert found.padded_flop > 2 * 2 * 17
    assert found.engine_j < products_j + 1e-6


def test_a_lower_clock_takes_longer_and_less_energy() -> None:
    found = price(parse_call(mm(8192)), TOY)
    assert found.busy_at(0.5) == pytest.approx(2 * found.busy_s, rel=0.2)
    assert found.energy_j(0.5) == pytest.approx(found.engine_j / 4 + found.memory_j)


def test_the_clock_falls_until_the_step_keeps_within_the_limit() -> None:
    """A card of a third of the power: the same step at a lower clock draws just that."""
    card = replace(TOY, tdp_w=TOY.tdp_w.at(60.0))
    asked = program(step(*["op 0 0"] * 8), calls=(mm(8192),))
    free, held = Prices(asked.calls, card), Prices(asked.calls, card)
    full_s = steady_step(asked, free, 0).period_ps / PS_PER_S
    under_the_limit(asked, held, 0)
    held_s = steady_step(asked, held, 0).period_ps / PS_PER_S
    one = held.price(0)
    assert 0.3 < held.clock < 1
    assert held_s > full_s
    assert 8 * one.energy_j() / full_s + card.idle_w > card.tdp_w
    assert 8 * one.energy_j(held.clock) / held_s + card.idle_w == pytest.approx(60, rel=0.05)


def test_a_card_with_room_keeps_its_clock() -> None:
    asked = program(step("op 0 0"), calls=("aten::relu(self=f32[4096])->(f32[4096])",))
    prices = Prices(asked.calls, TOY)
    assert under_the_limit(asked, prices, 0).clock == 1.0


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
