"""Prices as a user gave them; what was not given stays None."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import expm1, log1p


@dataclass(frozen=True, kw_only=True)
class Prices:
    """In one currency; None where no price was given."""

    currency: str
    card: float | None = None
    host: float | None = None
    node: float | None = None
    switch: float | None = None
    optic: float | None = None
    rack: float | None = None
    building_per_kw: float | None = None
    storage_per_tb: float | None = None
    electricity_per_kwh: float | None = None
    staff_per_year: float | None = None
    maintenance_per_cent: float | None = None
    years: float = 5.0
    building_years: float | None = None
    """None for as long as the machines."""
    discount_per_cent: float = 0.0

    def given(self) -> dict[str, float]:
        """The prices that were given, by name."""
        found = {name: getattr(self, name) for name in PRICED}
        return {name: value for name, value in found.items() if value is not None}

    def times(self, name: str, factor: float) -> Prices:
        """The same with one price `factor` times as high."""
        return replace(self, **{name: getattr(self, name) * factor})

    def present(self, years: float) -> float:
        """Present value of one unit paid at the end of each year for so many years."""
        rate = self.discount_per_cent / 100
        return years if rate == 0 else -expm1(-years * log1p(rate)) / rate


_TERMS = ("currency", "years", "building_years", "discount_per_cent")
#: What has a price, in the order of the fields.
PRICED = tuple(f.name for f in fields(Prices) if f.name not in _TERMS)
