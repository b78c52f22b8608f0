"""A bill worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from described import centre

from suiren.centre.money import Bill, bill_of
from suiren.centre.prices import Prices
from suiren.centre.study import study

FOUND = study(centre(), histories=1)


def bill(**given: Any) -> Bill:
    made = replace(FOUND.centre, prices=Prices(currency="CNY", **given))
    return bill_of(made, FOUND.fixed, FOUND.peak, FOUND.kwh_per_year)


def test_every_line_is_a_quantity_times_a_price() -> None:
    """16 nodes of 4 NICs on 64-port switches: one switch, 128 optics, 4 racks."""
    found = bill(node=1e5, switch=1e4, optic=100.0, rack=1e3, maintenance_per_cent=10.0, years=4.0)
    machines = 16e5 + 1e4 + 128 * 100 + 4 * 1e3
    assert found.capital == machines
    assert found.running == pytest.approx(machines / 10)
    assert found.total == pytest.approx(machines * (1 + 4 / 10))


def test_cards_and_hosts_are_priced_apart_where_asked() -> None:
    found = bill(card=1e4, host=2e4)
    assert found.parts()["card"] == 128e4 and found.parts()["host"] == 32e4
    assert "node" not in found.parts()


def test_money_of_later_years_is_worth_less() -> None:
    """1 at the end of each of two years at 10 %: 1/1.1 + 1/1.21."""
    found = bill(staff_per_year=1.0, years=2.0, discount_per_cent=10.0)
    assert found.total == pytest.approx(1 / 1.1 + 1 / 1.21)


def test_a_building_that_outlives_the_machines_is_charged_for_their_years() -> None:
    price = 1e3 / FOUND.peak.meter_w * 1e3
    assert bill(building_per_kw=price, years=5.0, building_years=15.0).total == pytest.approx(
        1e3 / 3
    )
    assert bill(building_per_kw=price, years=5.0, building_years=2.0).total == pytest.approx(1e3)


def test_electricity_is_what_the_meter_counts() -> None:
    found = bill(electricity_per_kwh=2.0, years=1.0)
    assert found.total == pytest.approx(2 * FOUND.energy.total_j / 30 * 365 / 3.6e6)


def test_missing_prices_are_told_and_count_nothing() -> None:
    found = bill(node=1.0)
    assert set(found.missing()) == {"switch", "optic", "rack", "storage_per_tb", "building_per_kw",
                                    "electricity_per_kwh", "staff_per_year",
                                    "maintenance_per_cent"}  # fmt: skip
    assert found.total == 16
    assert found.break_even("staff_per_year", 16 + 10) == pytest.approx(2)
    assert found.break_even("node", -1) is None
