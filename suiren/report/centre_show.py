"""Quantities of a centre as a reader expects them, in English and Chinese."""

from __future__ import annotations

from suiren.report.centre_words import Words
from suiren.units import GiB, show_rate

_NEVER = float("inf")
#: Large numbers: size, word, digits after the point; the first that is not above the value is used.
_LARGE = {
    "en": ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")),
    "zh": ((1e12, " 万亿"), (1e8, " 亿"), (1e4, " 万")),
}


class Show:
    """Writes numbers in one language and one currency."""

    def __init__(self, words: Words, currency: str) -> None:
        self.words, self.currency = words, currency

    def count(self, value: float) -> str:
        """A number of things: `1,000`, `1.5 trillion`."""
        for size, word in _LARGE[self.words.language]:
            if abs(value) >= size * (10 if size < 1e6 else 1):
                return f"{_digits(value / size)}{word}"
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else _digits(value)

    def money(self, value: float | None) -> str:
        """An amount with its currency; small ones keep three digits."""
        if value is None:
            return "–"
        if value == 0:
            return f"0 {self.currency}"
        shown = self.count(value) if abs(value) >= 1000 else _digits(value)
        return f"{shown} {self.currency}"

    def power(self, value_w: float | None) -> str:
        """Watts with a prefix."""
        return "–" if value_w is None else _prefixed(value_w, "W")

    def energy(self, value_j: float | None) -> str:
        """Joules as Wh with a prefix."""
        return "–" if value_j is None else _prefixed(value_j / 3600, "Wh")

    def days(self, value: float | None) -> str:
        """Days, one digit after the point below 100; never where there is no end."""
        if value is None or value == _NEVER:
            return self.words("never")
        return self.words("days", n=f"{value:,.0f}" if value >= 100 else f"{value:.1f}")

    def share(self, value: float) -> str:
        """A share in per cent."""
        shown = 100 * value
        return f"{shown:.1f} %" if abs(shown) >= 0.95 or shown == 0 else f"{shown:.2g} %"

    def memory(self, value_bytes: float) -> str:
        """A card's memory."""
        return f"{value_bytes / GiB:.1f} GiB"

    def price(self, name: str, value: float | None) -> str:
        """A price or a quantity of that name, with what it is for."""
        if value is None:
            return self.words("not given")
        if name == "maintenance_per_cent":
            return f"{_digits(value)} %"
        unit = {"electricity_per_kwh": "/kWh", "building_per_kw": "/kW", "storage_per_tb": "/TB",
                "staff_per_year": "/" + self.words("year")}.get(name, "")  # fmt: skip
        return self.money(value) + unit

    def fact(self, name: str, value: float) -> str:
        """A fact's value by the unit in its name."""
        if name.startswith("mean_s"):
            return self.words("days", n=f"{value / 86400:,.0f}")
        if name.endswith("memory_bytes"):
            return self.memory(value)
        if name.endswith("_bytes_per_s"):
            return show_rate(value, "B/s")
        if name.endswith("_w"):
            return _prefixed(value, "W")
        if name.endswith("_s"):
            return f"{value / 3600:.3g} h" if value >= 3600 else f"{value:.3g} s"
        return f"{value:.4g}"


def _prefixed(value: float, unit: str) -> str:
    for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{_digits(value / size)} {prefix}{unit}"
    return f"{_digits(value)} {unit}"


def _digits(value: float) -> str:
    """Three significant digits or all before the point, never an exponent above 1e-4."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if size >= 1e-4 or size == 0 else f"{value:.2e}"
