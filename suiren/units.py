"""Units: numbers are stored in base units and shown in human ones.

A capacity is a multiple of 1024, a rate a multiple of 1000. A name carries its unit
(`_bytes`, `_s`, `_flop`, `_bytes_per_s`), so that a number never needs a comment.
"""

from __future__ import annotations

KiB, MiB, GiB, TiB = 2**10, 2**20, 2**30, 2**40
KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
MHz, GHz = 10**6, 10**9
GFLOP, TFLOP, PFLOP = 10**9, 10**12, 10**15
us, ms = 1e-6, 1e-3
PS_PER_S = 10**12
PS_PER_US = 10**6

_DECIMAL = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def show_bytes(count: float) -> str:
    """A capacity in the largest binary unit that keeps it above one: `32.0 GiB`."""
    for size, unit in ((TiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB")):
        if abs(count) >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count:.0f} B"


def show_time(seconds: float) -> str:
    """A duration in the unit a reader expects: `12.3 ms`."""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if abs(seconds) >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds * 1e9)} ns"


def _three_digits(value: float) -> str:
    """Three significant digits, never an exponent."""
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def show_rate(value: float, unit: str) -> str:
    """A rate with a decimal prefix: `show_rate(1.6e12, "B/s")` is `1.6 TB/s`."""
    for size, prefix in _DECIMAL:
        if abs(value) >= size:
            return f"{value / size:.4g} {prefix}{unit}"
    return f"{value:.4g} {unit}"
