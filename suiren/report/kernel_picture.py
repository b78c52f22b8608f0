"""Pictures of a kernel at work: its engines over time, on the terminal and as SVG."""

from __future__ import annotations

from html import escape

from rich.text import Text

from suiren.core.timeline import Bar
from suiren.core.where import source_of
from suiren.units import PS_PER_S, show_time

ENGINES = ("load", "matrix", "vector", "special", "store")
_COLOURS = {"load": "blue", "store": "cyan", "matrix": "red", "vector": "green",
            "special": "magenta"}  # fmt: skip
_FILL = {"load": "#4477aa", "store": "#66ccee", "matrix": "#cc3311", "vector": "#228833",
         "special": "#aa3377"}  # fmt: skip
_ROW, _LEFT = 26, 70


def terminal(bars: list[Bar], width: int = 96) -> Text:
    """One line an engine; a block is time at work, its shade alternates from one to the next."""
    end = max((b.end for b in bars), default=1) or 1
    text = Text()
    for engine in ENGINES:
        mine = [b for b in bars if b.engine == engine]
        if not mine:
            continue
        cells = [" "] * width
        for n, bar in enumerate(mine):
            first = min(width - 1, bar.start * width // end)
            last = max(first + 1, -(-bar.end * width // end))
            if bar.end > bar.start:
                cells[first:last] = ["█▓"[n % 2]] * (min(last, width) - first)
        busy = sum(b.end - b.start for b in mine) / end
        text.append(f"{engine:>8} ")
        text.append("".join(cells[:width]), style=_COLOURS[engine])
        text.append(f" {100 * busy:3.0f} %\n")
    scale = f"0{'':{width - 12}}{show_time(end / PS_PER_S):>11}"
    text.append(f"{'':9}{scale}\n")
    return text


def svg(bars: list[Bar], title: str, width: int = 1200) -> str:
    """The same as an SVG file; hovering over a bar tells its instruction, line and times."""
    end = max((b.end for b in bars), default=1) or 1
    used = [e for e in ENGINES if any(b.engine == e for b in bars)]
    scale = (width - _LEFT - 10) / end
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{_ROW * len(used) + 60}" font-family="sans-serif" font-size="12">',
        f'<text x="8" y="18" font-size="14">{escape(title)}</text>',
    ]
    for row, engine in enumerate(used):
        y = 30 + row * _ROW
        parts.append(f'<text x="8" y="{y + 15}">{engine}</text>')
        for bar in bars:
            if bar.engine != engine or bar.end <= bar.start:
                continue
            x, w = _LEFT + bar.start * scale, max(0.5, (bar.end - bar.start) * scale - 0.4)
            first, last = (show_time(at / PS_PER_S) for at in (bar.start, bar.end))
            told = f"{bar.name}: {first} to {last}\n"
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="{_ROW - 6}" '
                f'fill="{_FILL[engine]}"><title>{escape(told + source_of(bar.line))}</title></rect>'
            )
    y = 30 + len(used) * _ROW + 12
    for tick in range(6):
        x = _LEFT + (width - _LEFT - 10) * tick / 5
        anchor = "end" if tick == 5 else "middle"
        parts.append(f'<text x="{x:.0f}" y="{y}" text-anchor="{anchor}">'
                     f"{show_time(end * tick / 5 / PS_PER_S)}</text>")  # fmt: skip
    return "\n".join([*parts, "</svg>\n"])
