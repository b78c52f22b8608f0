"""The front end as one HTML text, with or without the data inside.

The modules in `static/` name what they use of each other (`import { a } from "./b.js";`). For
the page they are put into one script, each behind those it uses: a file opened from disk may not
load modules, and one request is quicker than thirty. All share one scope, so a name is declared
once in the whole front end; a test holds that.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

#: Scripts of the report's page that draw a timeline here too; they name nothing to import.
GROUND = ("page_units.js", "page_spans.js", "page_lanes.js")
START = "main.js"
STYLES = ("look.css", "parts.css")
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([a-z_]+\.js)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?function |const |let |class )", re.MULTILINE)


def page_html(data: Mapping[str, str] | None = None) -> str:
    """The page. `data` are JSON texts by the path the server would answer them at.

    Without data the page asks the server that it came from.
    """
    inside = ""
    if data is not None:
        inside = "\n".join(
            f'<script type="application/gzip" data-path="{_escaped(path)}">{_packed(text)}</script>'
            for path, text in data.items()
        )
    return (
        _read("page.html")
        .replace("/*STYLE*/", "\n".join(_read(name) for name in STYLES))
        .replace("<!--DATA-->", inside)
        .replace("/*SCRIPT*/", bundle())
    )


@cache
def bundle() -> str:
    """All scripts in one: the report's own first, then modules behind what they import."""
    report = files("suiren.report")
    parts = [report.joinpath(name).read_text(encoding="utf-8") for name in GROUND]
    parts += [EXPORT.sub("", IMPORT.sub("", _read(name))) for name in order()]
    return "\n".join(parts)


def order() -> list[str]:
    """Names of the modules, each behind those it imports; raises ValueError for a circle."""
    found: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import each other: {' → '.join((*above, name))}")
        if name in found:
            return
        for _, used in IMPORT.findall(_read(name)):
            visit(used, (*above, name))
        found.append(name)

    visit(START, ())
    return found


def _packed(text: str) -> str:
    # without a time in the header the same data gives the same bytes
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


def _escaped(path: str) -> str:
    return path.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _read(name: str) -> str:
    return files("suiren.view").joinpath("static", name).read_text(encoding="utf-8")
