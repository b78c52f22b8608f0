"""The answer as one HTML page that needs no network: styles, scripts and data stand in it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from suiren.report.answer import Answer
from suiren.report.page_plots import plots
from suiren.report.page_spans import timeline
from suiren.report.page_text import words

#: In the order they are set: each may use what stands before it.
SCRIPTS = (
    "page_units.js",
    "page_theme.js",
    "page_hover.js",
    "page_spans.js",
    "page_lanes.js",
    "page_timeline.js",
    "page_pointer.js",
    "page_roofline.js",
    "page_memory.js",
    "page_tables.js",
    "page_start.js",
)


def write_page(answer: Answer, path: Path) -> None:
    """Write the page; the same run gives the same bytes."""
    path.write_text(page_html(answer), encoding="utf-8")


def page_html(answer: Answer, ranks: dict[str, Any] | None = None) -> str:
    """Render the page. Everything that comes from a script or a trace is escaped.

    `ranks` are the words about many ranks, where the answer is that of one among them.
    """
    return _template().render(
        **words(answer),
        ranks=ranks,
        style=Markup(_read("page.css")),
        script_text=Markup("\n".join(_read(name) for name in SCRIPTS)),
        timeline=timeline(answer),
        plots=plots(answer),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment.from_string(_read("page.html"))


def _read(name: str) -> str:
    return files("suiren.report").joinpath(name).read_text(encoding="utf-8")
