"""Goodput as one HTML page that needs no network: the run over time, its parts, the interval."""

from __future__ import annotations

import re
from html import escape
from math import log

from suiren.fleet.faults import S_PER_DAY
from suiren.fleet.goodput import PARTS, Goodput
from suiren.fleet.interval import Interval
from suiren.report.goodput import LOOKS, GoodputAnswer, headline, hours

_WIDTH, _ROW, _LEFT = 1000, 16, 60
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: .2em .8em; text-align: left }
td.n { text-align: right } tr:nth-child(even) { background: #8881 } svg text { fill: currentColor }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #181818 } }
"""


def goodput_html(answer: GoodputAnswer) -> str:
    """The page; the same answer gives the same bytes."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(_plain(text))}</td></tr>"
        for name, text in headline(answer)
    )
    spent = "".join(
        f"<tr><td>{part}</td><td class=n>{100 * seconds / answer.run.horizon_s:.2f} %</td>"
        f"<td class=n>{hours(seconds)}</td></tr>"
        for part in PARTS
        if (seconds := answer.run.spent_s[part]) > 1e-6 * answer.run.horizon_s
    )
    facts = "".join(
        f"<tr><td>{escape(name)}</td><td class=n>{float(fact):.4g}</td><td>{fact.kind}</td>"
        f"<td>{escape(fact.source)}</td></tr>"
        for name, fact in answer.facts()
    )
    curve = f"<h2>Steps between checkpoints</h2>{_curve(answer.best)}" if answer.best else ""
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(answer.title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(answer.title)}</h1><table>{rows}</table>"
        f"<h2>The run, a row a day</h2>{_days(answer.run)}"
        f"<h2>Where the time goes</h2><table>{spent}</table>{curve}"
        f"<h2>It rests on</h2><table>{facts}</table></html>\n"
    )


def _plain(text: str) -> str:
    """Without the terminal's markup."""
    return re.sub(r"\[/?[a-z ]*\]", "", text)


def _days(run: Goodput) -> str:
    days = max(1, -(-int(run.horizon_s) // int(S_PER_DAY)))
    scale = (_WIDTH - _LEFT) / S_PER_DAY
    parts = [_svg(_ROW * days + 30)]
    for day in range(days):
        parts.append(f'<text x="4" y="{day * _ROW + 12}">day {day + 1}</text>')
    for period in run.periods:
        at = period.start_s
        while at < period.end_s - 1e-6:
            day = int(at // S_PER_DAY)
            until = min(period.end_s, (day + 1) * S_PER_DAY)
            x, w = _LEFT + (at - day * S_PER_DAY) * scale, max(0.4, (until - at) * scale)
            told = f"{period.kind} {hours(period.end_s - period.start_s)}"
            told += f": {period.why}" if period.why else ""
            parts.append(
                f'<rect x="{x:.1f}" y="{day * _ROW}" width="{w:.1f}" height="{_ROW - 3}" '
                f'fill="{LOOKS[period.kind][2]}"><title>{escape(told)}</title></rect>'
            )
            at = until
    for number, (kind, (_, _, colour)) in enumerate(LOOKS.items()):
        x, y = _LEFT + 160 * number, _ROW * days + 10
        parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>'
                     f'<text x="{x + 18}" y="{y + 11}">{kind}</text>')  # fmt: skip
    return "".join(parts) + "</svg>"


def _curve(best: Interval) -> str:
    """Goodput over the steps between checkpoints, with both formulas."""
    most = best.curve[-1][0]
    height, scale = 220, (_WIDTH - _LEFT - 20) / max(1e-9, log(max(2, most)))
    points = [(_LEFT + log(k) * scale, 10 + (height - 40) * (1 - s)) for k, s in best.curve]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts = [_svg(height), f'<polyline points="{line}" fill="none" stroke="#228833"/>']
    marks = (("best", float(best.every_steps), 60), ("Young", best.young_steps, 90),
             ("Daly", best.daly_steps, 120))  # fmt: skip
    for name, steps, y in marks:
        x = _LEFT + log(max(1.0, min(steps, most))) * scale
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="10" y2="{height - 30}" stroke="#888"/>'
                     f'<text x="{x + 4:.1f}" y="{y}">{name} {steps:,.0f}</text>')  # fmt: skip
    for share in (0, 0.5, 1):
        parts.append(f'<text x="4" y="{14 + (height - 40) * (1 - share):.0f}">'
                     f"{100 * share:.0f} %</text>")  # fmt: skip
    end = f'x="{_WIDTH - 20}" text-anchor="end"'
    parts.append(f'<text x="{_LEFT}" y="{height - 8}">1 step</text>'
                 f'<text {end} y="{height - 8}">{most:,}</text>')  # fmt: skip
    return "".join(parts) + "</svg>"


def _svg(height: int) -> str:
    return (f'<svg viewBox="0 0 {_WIDTH} {height}" width="100%" font-size="12" '
            f'font-family="sans-serif" xmlns="http://www.w3.org/2000/svg">')  # fmt: skip
