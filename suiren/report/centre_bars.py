"""Bars about centres as inline SVG: the bill as a waterfall, power, bounds, sensitivity.

Colours are classes of the page's style sheet; every text is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from suiren.report.centre_show import Show
from suiren.report.centre_words import Words

_ROW, _BAR = 24, 15
_LABEL, _VALUE = 186, 130
#: Rows that a tornado shows, by effect.
MOST_ROWS = 9


def waterfall(centre: Mapping[str, Any], scale: float, show: Show, words: Words) -> str:
    """Every line of the bill starts where the one before ended; `scale` is the longest total."""
    money, width, at = centre["money"], 620, 0.0
    track = width - _LABEL - _VALUE
    lines = [ln for ln in money["lines"] if ln["present"] > 0 or ln["price"] is None]
    parts = []
    for row, line in enumerate(lines):
        told = show.money(line["present"])
        if line["price"] is None:
            told = words("no price")
            parts.append(_dashes(row, _LABEL + at / scale * track, track, words("no price")))
        else:
            kind = "yearly" if line["yearly"] else "capital"
            parts.append(_bar(row, _LABEL + at / scale * track,
                              line["present"] / scale * track, f"w-{kind}",
                              f"{words(line['name'])}: {told}"))  # fmt: skip
            at += line["present"]
        quiet = " quiet" if line["price"] is None else ""
        parts += [_text(_LABEL - 10, row, words(line["name"]), f"end{quiet}"),
                  _text(width, row, told, f"end number{quiet}")]  # fmt: skip
    last = len(lines)
    parts += [
        _bar(last, _LABEL, money["total"] / scale * track, "w-total", show.money(money["total"])),
        _text(_LABEL - 10, last, words("total"), "end strong"),
        _text(width, last, show.money(money["total"]), "end number strong"),
    ]
    return _svg(width, _ROW * (last + 1) + 4, parts, words("where money"))


def power(centres: Sequence[Mapping[str, Any]], show: Show, words: Words) -> str:
    """Peak and average of every centre by part, to one scale, with its limit."""
    width, parts, row = 1180, [], 0
    most = max(max(c["power"]["meter_peak_w"], _shown_limit(c)) for c in centres)
    track = width - _LABEL - _VALUE
    for centre in centres:
        found = centre["power"]
        average = {n: j / sum(found["month_j"].values()) * found["average_w"]
                   for n, j in found["month_j"].items()}  # fmt: skip
        parts.append(_text(0, row, centre["title"], "strong"))
        for name, stack in (("peak", found["peak_w"]), ("average", average)):
            row += 1
            parts.append(_text(_LABEL - 10, row, words(name), "end"))
            parts += _stack(row, stack, most, track, show.power, words)
            total = sum(stack.values())
            parts.append(_text(_LABEL + total / most * track + 8, row, show.power(total), "number"))
        limit = found["limit_w"]
        if limit is not None and limit <= most:
            x = _LABEL + limit / most * track
            top, end = _ROW * (row - 1) - 4, _ROW * (row + 1)
            parts.append(f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{end}"/>')
            parts.append(_text(x, row - 2, f"{words('limit')} {show.power(limit)}", "end limit"))
        row += 1.3  # type: ignore[assignment]
    return _svg(width, _ROW * row, parts, words("where power"))


def _shown_limit(centre: Mapping[str, Any]) -> float:
    """The limit where it is near enough to be drawn to scale."""
    limit, peak_w = centre["power"]["limit_w"], centre["power"]["meter_peak_w"]
    return limit if limit is not None and limit < 3 * peak_w else 0.0


def bounds(centres: Sequence[Mapping[str, Any]], show: Show, words: Words) -> str:
    """Where the time of all cards goes: a bar of 100 % for every job that runs."""
    width, parts, row = 1180, [], 0
    for centre in centres:
        for job in (j for j in centre["jobs"] if j["month"]):
            label = centre["title"] if len(centres) > 1 else job["name"]
            parts.append(_text(0, row, _short(label, 24), "strong"))
            parts += _stack(row, job["bounds_share"], 1.0, width - _LABEL, show.share, words)
            row += 1
    return _svg(width, _ROW * max(1, row) + 2, parts, words("bounds"))


def tornado(centre: Mapping[str, Any], words: Words) -> str:
    """What 20 % less and more of each input make of the cost, or of the days without prices."""
    width, middle = 620, 400
    key = "cost_ratio" if centre["money"]["jobs_cost"] else "days_ratio"
    rows = sorted(centre["sensitivity"], key=lambda r: -max(abs(x - 1) for x in r[key]))
    rows = rows[:MOST_ROWS]
    most = max([abs(x - 1) for r in rows for x in r[key]] + [1e-9])
    reach = width - middle - 52
    parts = [f'<line class="axis" x1="{middle}" x2="{middle}" y1="0" y2="{_ROW * len(rows)}"/>']
    for row, found in enumerate(rows):
        name = words(found["name"]) if found["kind"] != "price" else words.price(found["name"])
        parts.append(_text(middle - reach - 62, row, _short(name, 30),
                           "end assumed" if found["kind"] == "assumed" else "end"))  # fmt: skip
        for number, ratio in enumerate(found[key]):
            change = ratio - 1
            if abs(change) < 5e-4:
                continue
            x, wide = middle + min(0.0, change / most) * reach, abs(change / most) * reach
            told = f"{100 * change:+.1f} %"
            end = middle + change / most * reach + (6 if change > 0 else -6)
            parts += [_bar(row, x, wide, "t-less" if number == 0 else "t-more", told),
                      _text(end, row, told, "number" if change > 0 else "end number")]  # fmt: skip
    return _svg(width, _ROW * len(rows) + 2, parts, words("moves"))


def _stack(
    row: float, shares: Mapping[str, float], most: float, track: float, shown: Any, words: Words
) -> list[str]:
    parts, x = [], float(_LABEL)
    for name, value in shares.items():
        wide = value / most * track
        if wide <= 0:
            continue
        told = f"{words(name)}: {shown(value)}"
        parts.append(_bar(row, x, wide, f"c-{slug(name)}", told))
        if wide > 9 * len(words(name)) + 10:
            parts.append(_text(x + wide / 2, row, words(name), "middle inside"))
        x += wide
    return parts


def slug(name: str) -> str:
    """A name as part of a class."""
    return name.replace(" ", "-")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _bar(row: float, x: float, width: float, kind: str, told: str) -> str:
    y = _ROW * row + (_ROW - _BAR) / 2
    return (f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.8):.1f}" '
            f'height="{_BAR}" rx="1.5"><title>{escape(told)}</title></rect>')  # fmt: skip


def _dashes(row: float, x: float, track: float, told: str) -> str:
    y = _ROW * row + (_ROW - _BAR) / 2
    width = max(12.0, min(60.0, _LABEL + track - x))
    return (f'<rect class="w-missing" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{_BAR}" rx="1.5"><title>{escape(told)}</title></rect>')  # fmt: skip


def _text(x: float, row: float, text: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{_ROW * row + 16:.1f}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}" '
            f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>')  # fmt: skip
