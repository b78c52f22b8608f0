"""Capital, running cost, and the whole over the years: every line a quantity times a price."""

from __future__ import annotations

from dataclasses import dataclass, replace

from suiren.centre.power import Fixed, Peak
from suiren.centre.prices import Prices
from suiren.centre.site import TB, Centre

#: Lines of machines, whose price maintenance is a share of.
MACHINES = ("card", "host", "node", "switch", "optic", "rack", "storage_per_tb")
_YEARLY = ("electricity_per_kwh", "staff_per_year", "maintenance_per_cent")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill."""

    name: str
    """The price's name."""
    quantity: float
    """Of what the price is for; a year's where `yearly`."""
    price: float | None
    """None where none was given."""
    yearly: bool
    weight: float
    """Present value over the years of one unit of `price × quantity`."""

    @property
    def amount(self) -> float:
        """Once, or in a year."""
        return self.quantity * (self.price or 0.0)

    @property
    def present(self) -> float:
        """Over the years, in money of today."""
        return self.weight * self.amount


@dataclass(frozen=True, slots=True)
class Bill:
    """All lines; those without a price count nothing and are listed as missing."""

    lines: tuple[Line, ...]
    prices: Prices

    @property
    def capital(self) -> float:
        """Bought at the start."""
        return sum(line.amount for line in self.lines if not line.yearly)

    @property
    def running(self) -> float:
        """Paid in a year."""
        return sum(line.amount for line in self.lines if line.yearly)

    @property
    def total(self) -> float:
        """Over the years, in money of today: the total cost of ownership."""
        return sum(self.parts().values())

    @property
    def per_second(self) -> float:
        """An even rent that pays for all of it over the years."""
        return self.total / (self.prices.present(self.prices.years) * 365 * 86400)

    def parts(self) -> dict[str, float]:
        """Present value by line; sums to the total."""
        return {line.name: line.present for line in self.lines}

    def missing(self) -> tuple[str, ...]:
        """Lines that no price was given for."""
        return tuple(line.name for line in self.lines if line.price is None)

    def per_unit(self, name: str) -> float:
        """What one unit more of a price adds to the total, maintenance included.

        The total is linear in every price.
        """
        line, maintained = self.line(name), self.line("maintenance_per_cent")
        own = line.weight * line.quantity
        if name in MACHINES:
            own += maintained.weight * (maintained.price or 0.0) / 100 * line.quantity
        return own

    def line(self, name: str) -> Line:
        """The line of that name; raises StopIteration for none."""
        return next(line for line in self.lines if line.name == name)

    def break_even(self, name: str, target: float) -> float | None:
        """The price with which the total is `target`; None where no price of 0 or more does."""
        slope = self.per_unit(name)
        if slope <= 0:
            return None
        price = (self.line(name).price or 0.0) + (target - self.total) / slope
        return price if price >= 0 else None


def bill_of(centre: Centre, fixed: Fixed, peak: Peak, kwh_per_year: float) -> Bill:
    """The bill of a centre.

    Costs of a year are paid at its end and discounted; a building that outlives the machines is
    charged for their years, as an even rent over its own.
    """
    prices = centre.prices
    quantities: dict[str, float] = {}
    if prices.card is None and prices.host is None:
        quantities["node"] = centre.nodes
    else:
        quantities |= {"card": centre.cards, "host": centre.nodes}
    quantities |= {
        "switch": fixed.switches.switches, "optic": fixed.switches.optics, "rack": centre.racks,
        "storage_per_tb": fixed.storage_bytes / TB, "building_per_kw": peak.meter_w / 1e3,
        "electricity_per_kwh": kwh_per_year, "staff_per_year": 1.0, "maintenance_per_cent": 0.0,
    }  # fmt: skip
    weight = prices.present(prices.years)
    lives = max(prices.building_years or prices.years, prices.years)
    lines = tuple(
        Line(name, float(count), getattr(prices, name), name in _YEARLY,
             weight if name in _YEARLY
             else weight / prices.present(lives) if name == "building_per_kw" else 1.0)
        for name, count in quantities.items()
    )  # fmt: skip
    return _with_maintenance(Bill(lines, prices))


def _with_maintenance(bill: Bill) -> Bill:
    machines = sum(line.amount for line in bill.lines if line.name in MACHINES)
    return replace(bill, lines=tuple(
        replace(line, quantity=machines / 100) if line.name == "maintenance_per_cent" else line
        for line in bill.lines
    ))  # fmt: skip

