"""A job's month as a picture: a column a day, midnight to midnight, and what each hour went to."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from suiren.report.centre_bars import slug
from suiren.report.centre_words import Words

_S_PER_DAY, _S_PER_H = 86400.0, 3600.0
_LEFT, _COLUMN, _HEIGHT, _TOP = 30, 19, 132, 4
#: Shorter stretches would not be seen.
_LEAST_HEIGHT = 1.6


def calendar(month: Mapping[str, Any], words: Words) -> str:
    """Thirty columns; training is the ground, what interrupts it lies on top."""
    days = round(month["seconds"] / _S_PER_DAY)
    width = _LEFT + _COLUMN * days
    parts = []
    for hour in (0, 6, 12, 18, 24):
        y = _TOP + hour / 24 * _HEIGHT
        parts.append(f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.0f}">{hour}</text>')
    for day in range(days):
        x = _LEFT + _COLUMN * day
        parts.append(f'<rect class="c-training" x="{x}" y="{_TOP}" width="{_COLUMN - 2}" '
                     f'height="{_HEIGHT}" rx="1.5"/>')  # fmt: skip
        if (day + 1) % 5 == 0:
            parts.append(f'<text class="middle" x="{x + _COLUMN / 2:.0f}" '
                         f'y="{_TOP + _HEIGHT + 15}">{day + 1}</text>')  # fmt: skip
    for period in month["periods"]:
        if period["kind"] != "training":
            parts += _period(period, words)
    return (f'<svg viewBox="0 0 {width} {_TOP + _HEIGHT + 20}" role="img" '
            f'aria-label="{escape(words("a month"))}" xmlns="http://www.w3.org/2000/svg">'
            f'{"".join(parts)}</svg>')  # fmt: skip


def _period(period: Mapping[str, Any], words: Words) -> list[str]:
    """One rectangle for each day it touches."""
    parts, at = [], period["start_s"]
    length_h = (period["end_s"] - at) / _S_PER_H
    told = f"{words(period['kind'])} {length_h:.2f} h"
    told += f": {period['why']}" if period["why"] else ""
    while at < period["end_s"] - 1e-6:
        day = int(at // _S_PER_DAY)
        until = min(period["end_s"], (day + 1) * _S_PER_DAY)
        y = _TOP + (at / _S_PER_DAY - day) * _HEIGHT
        high = max(_LEAST_HEIGHT, (until - at) / _S_PER_DAY * _HEIGHT)
        parts.append(
            f'<rect class="c-{slug(period["kind"])}" x="{_LEFT + _COLUMN * day}" '
            f'y="{min(y, _TOP + _HEIGHT - high):.1f}" width="{_COLUMN - 2}" height="{high:.1f}">'
            f"<title>{escape(told)}</title></rect>"
        )
        at = until
    return parts
