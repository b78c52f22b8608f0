"""Laws that hold for every centre."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest
from described import GIVEN_STEP, MODEL, PRICES, centre
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.centre.answer import answer
from suiren.centre.bounds import bounds_of
from suiren.centre.money import Bill, bill_of
from suiren.centre.month import smooth_share
from suiren.centre.prices import PRICED, Prices
from suiren.centre.sensitivity import sensitivity
from suiren.centre.site import Centre
from suiren.centre.study import Study, study
from suiren.report.centre_document import document
from suiren.report.centre_page import centre_html

AMOUNT = st.floats(0, 1e7)
PRICE_LISTS = st.fixed_dictionaries(
    {name: AMOUNT for name in PRICED if name not in ("card", "host")},
    optional={"card": AMOUNT},
)


@cache
def small() -> Study:
    return study(centre())


def bill(prices: Prices) -> Bill:
    found = small()
    priced = replace(found.centre, prices=prices)
    return bill_of(priced, found.fixed, found.peak, found.kwh_per_year)


def prices(given: dict[str, float], **more: float) -> Prices:
    given = dict(given)
    if "card" in given:
        given.pop("node")
    given["maintenance_per_cent"] %= 100
    return Prices(currency="CNY", **given, **more)


@settings(max_examples=25, deadline=None)
@given(PRICE_LISTS, st.floats(0, 20), st.floats(1, 30))
def test_the_parts_of_the_bill_sum_to_the_whole(
    given: dict[str, float], discount: float, years: float
) -> None:
    found = bill(prices(given, discount_per_cent=discount, years=years))
    assert sum(found.parts().values()) == pytest.approx(found.total)
    assert all(part >= 0 for part in found.parts().values())
    rent = found.per_second * 365 * 86400 * found.prices.present(years)
    assert rent == pytest.approx(found.total)


@settings(max_examples=25, deadline=None)
@given(PRICE_LISTS, st.floats(0.01, 1000))
def test_in_another_currency_everything_costs_as_many_times_as_much(
    given: dict[str, float], rate: float
) -> None:
    here = bill(prices(given))
    maintained = given["maintenance_per_cent"] % 100
    scaled = {name: value * rate for name, value in given.items()}
    there = bill(replace(prices(scaled), maintenance_per_cent=maintained))
    assert there.total == pytest.approx(rate * here.total)
    assert there.capital == pytest.approx(rate * here.capital)


@settings(max_examples=25, deadline=None)
@given(PRICE_LISTS, st.sampled_from(PRICED), st.floats(0, 10))
def test_no_price_lowers_the_bill_by_rising(
    given: dict[str, float], name: str, more: float
) -> None:
    before = prices(given)
    raised = getattr(before, name)
    if raised is not None:
        after = replace(before, **{name: raised * (1 + more)})
        assert bill(after).total >= bill(before).total * (1 - 1e-12)


@settings(max_examples=25, deadline=None)
@given(PRICE_LISTS, st.sampled_from(["node", "electricity_per_kwh", "rack"]), st.floats(1.1, 9))
def test_with_the_break_even_price_the_bill_is_what_was_aimed_at(
    given: dict[str, float], name: str, times: float
) -> None:
    found = bill(prices(given))
    if name == "node" and "card" in given:
        return
    target = (found.total + 1) * times
    price = found.break_even(name, target)
    assert price is not None
    assert bill(replace(found.prices, **{name: price})).total == pytest.approx(target)


@pytest.mark.parametrize("job", [GIVEN_STEP, MODEL], ids=["given step", "model"])
def test_a_higher_power_limit_never_slows(job: str) -> None:
    watts = [40e3, 50e3, 60e3, 200e3]
    found = [study(at(job, f"site_limit_w = {w}"), histories=2) for w in watts]
    days = [s.days for s in found]
    assert days == sorted(days, reverse=True)
    assert days[0] > days[-1]
    for one, limit in zip(found, watts, strict=True):
        assert not one.works or one.peak.meter_w <= limit * (1 + 1e-9)


def at(job: str, line: str) -> Centre:
    return centre(job=job, power=f"pue = 1.2\n{line}")


@pytest.mark.parametrize("spares", [0, 2])
def test_more_failures_never_raise_goodput(spares: int) -> None:
    shares, smooth = [], []
    for factor in (0.5, 4, 32):
        made = centre(failures=f"spare_nodes = {spares}\nfactor = {factor}")
        found = study(made, histories=2)
        month = found.first.month
        assert month is not None
        shares.append(month.share)
        smooth.append(smooth_share(month, found.centre.recovery))
    assert shares == sorted(shares, reverse=True)
    assert smooth == sorted(smooth, reverse=True)


@settings(max_examples=8, deadline=None)
@given(st.floats(1, 2), st.floats(0, 2000), st.floats(0.05, 1))
def test_energy_is_the_sum_of_its_parts(pue: float, host_w: float, use: float) -> None:
    made = centre(power=f"pue = {pue}", machines=f"nodes = 16\nhost_w = {host_w}")
    found = study(replace(made, use_share=use), histories=1)
    for energy in (found.energy, found.first.energy):
        assert energy is not None
        assert sum(energy.parts_j.values()) == pytest.approx(energy.total_j)
        assert energy.parts_j["cooling"] == pytest.approx((pue - 1) * energy.machines_j)
        assert energy.average_w <= found.peak.meter_w
    assert found.first.energy is not None
    assert found.energy.total_j <= found.first.energy.total_j * (1 + 1e-9)


def test_shares_of_time_are_whole() -> None:
    found = study(centre(job=MODEL), histories=2)
    assert sum(bounds_of(found.first, found.centre).values()) == pytest.approx(1)
    assert found.first.month is not None
    assert sum(found.first.month.spent.values()) == pytest.approx(1)
    assert sum(found.first.trained.parts_s.values()) == pytest.approx(found.first.trained.step_s)


def test_the_cost_of_all_work_in_the_years_is_the_bill() -> None:
    found = small()
    rent = found.bill.per_second
    busy_s = found.centre.use_share * 365 * 86400
    jobs_a_year = busy_s / found.first.seconds
    assert jobs_a_year * found.cost == pytest.approx(rent * 365 * 86400)


def test_the_same_seed_gives_the_same_bytes() -> None:
    made = [document([answer(centre(prices=PRICES), 3)], ["small.toml"]) for _ in range(2)]
    assert json.dumps(made[0]) == json.dumps(made[1])
    assert centre_html(made[0]) == centre_html(made[1])
    often = centre(failures="factor = 20")
    here, there = (study(often, seed, 1).first.month for seed in (3, 4))
    assert here is not None and there is not None
    assert here.runs[0].periods != there.runs[0].periods


def test_more_nodes_never_take_longer_without_a_limit() -> None:
    days = [
        study(centre(job=MODEL, machines=f"nodes = {n}"), histories=2).days for n in (6, 18, 34)
    ]
    assert days == sorted(days, reverse=True)


@pytest.mark.slow  # prices a card of its own
def test_hardware_is_moved_to_first_order_as_the_step_itself_moves() -> None:
    found = study(centre(job=MODEL), histories=1)
    told = next(m for m in sensitivity(found) if m.name == "matrix_efficiency")
    card = found.centre.card
    lower = card.matrix_efficiency.at(0.8 * card.matrix_efficiency)
    slower = replace(card, matrix_efficiency=lower)
    node = replace(found.centre.node, card=slower)
    there = study(replace(found.centre, node=node), 0, 1, (found.first.trained.layout,))
    exact = there.first.trained.step_s / found.first.trained.step_s
    assert 1 < exact <= told.days[0] <= exact + 0.03
