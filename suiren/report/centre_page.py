"""One page about one or more centres, made of their document: for who decides, also on paper.

Self-contained: no network, no library. Every text of a file is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from suiren.report import centre_bars
from suiren.report.centre_month import calendar
from suiren.report.centre_rows import GROUPS, rows
from suiren.report.centre_show import Show
from suiren.report.centre_text import (
    break_evens,
    caveats,
    changes,
    checks,
    compared,
    verdict_head,
    within_budget,
)
from suiren.report.centre_words import Words

#: Parts of a month beside what is drawn: those below this share are not listed.
_LEAST_SHARE = 5e-5


def centre_html(found: Mapping[str, Any], language: str = "en") -> str:
    """The page of a document (`centre_document.document`); the same document, the same bytes.

    Raises KeyError for a language that is not there.
    """
    words = Words(language)
    centres = found["centres"]
    shows = [Show(words, centre["money"]["currency"]) for centre in centres]
    several = len(centres) > 1
    return _template().render(
        words=words, language=language, found=found, several=several,
        style=Markup(_read("centre.css")), script=Markup(_read("centre.js")),
        centres=[_told(c, s, words) for c, s in zip(centres, shows, strict=True)],
        scale_waterfalls=_waterfalls(centres, shows, words),
        power=Markup(centre_bars.power(centres, shows[0], words)),
        bounds=Markup(centre_bars.bounds(centres, shows[0], words)),
        compared=list(compared(found, shows, words)) if several else [],
        break_evens=break_evens(found, shows, words) if several else [],
        rests=_rests(centres, shows, words), caveats=caveats(centres, shows, words),
        table=_table(centres, shows, words),
        slug=centre_bars.slug, draws=list(centres[0]["power"]["month_j"]),
        bound_names=_bound_names(centres), command=_command(centres),
    )  # fmt: skip


def _told(centre: Mapping[str, Any], show: Show, words: Words) -> dict[str, Any]:
    """What the template shows of one centre."""
    job = next((j for j in centre["jobs"] if j["month"]), None)
    month = job["month"] if job else None
    return {
        "centre": centre, "head": verdict_head(centre, words), "holds": centre["goal"]["holds"],
        "checks": list(checks(centre, show, words)), "changes": changes(centre, show, words),
        "budget": within_budget(centre, show, words), "asked": centre["goal"]["asked"],
        "tiles": _tiles(centre, show, words),
        "calendar": Markup(calendar(month, words)) if month else None,
        "spent": [(name, show.share(share)) for name, share in month["spent_share"].items()
                  if share > _LEAST_SHARE] if month else [],
        "tornado": Markup(centre_bars.tornado(centre, words)) if centre["sensitivity"] else None,
    }  # fmt: skip


def _tiles(centre: Mapping[str, Any], show: Show, words: Words) -> list[tuple[str, str, str]]:
    """(label, figure, what stands below it)."""
    table, money = rows(centre, show, words), centre["money"]
    bound = f"{words('row bound')}: {table['row bound']}" if "row bound" in table else ""
    tiles = [(words("row days"), table["row days"], bound)]
    if "row goodput" in table:
        mfu = f"MFU {table['row mfu']}" if "row mfu" in table else ""
        tiles.append((words("row goodput"), table["row goodput"], mfu))
    tiles.append((words("row peak"), show.power(centre["power"]["meter_peak_w"]),
                  f"{words('average')} {table['row average']}"))  # fmt: skip
    if money["total"]:
        tiles.append((words("row total"), table["row total"],
                      f"{words('row capital')} {table['row capital']}"))  # fmt: skip
    if "row cost token" in table:
        tiles.append((words("row cost token"), table["row cost token"],
                      f"{words('row cost')} {table['row cost']}"))  # fmt: skip
    return tiles


def _waterfalls(centres: Any, shows: list[Show], words: Words) -> list[Markup]:
    """One a centre, all to the scale of the largest bill; none where nothing is priced."""
    scale = max(centre["money"]["total"] for centre in centres)
    if scale <= 0:
        return []
    return [Markup(centre_bars.waterfall(c, scale, s, words))
            for c, s in zip(centres, shows, strict=True)]  # fmt: skip


def _table(
    centres: Any, shows: list[Show], words: Words
) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """(heading, rows) of the figures; a row is a name and a cell for each centre."""
    columns = [rows(c, s, words) for c, s in zip(centres, shows, strict=True)]
    names = list(dict.fromkeys(name for column in columns for name in column))
    told = []
    for group, members in GROUPS.items():
        found = [(words(n), [c.get(n, "–") for c in columns]) for n in names if n in members]
        if found:
            told.append((words(f"group {group}"), found))
    return told


def _rests(centres: Any, shows: list[Show], words: Words) -> list[tuple[str, ...]]:
    """(what, value, kind, source, whose) of every fact; what all centres share stands once."""
    whose: dict[tuple[str, ...], list[str]] = {}
    for centre, show in zip(centres, shows, strict=True):
        for fact in centre["rests_on"]:
            row = (words(fact["name"]), show.fact(fact["name"], fact["value"]), fact["kind"],
                   _any_file(fact["source"], fact["kind"], words))  # fmt: skip
            whose.setdefault(row, []).append(centre["title"])
    order = list(dict.fromkeys(row[0] for row in whose))
    rows = sorted(whose.items(), key=lambda item: order.index(item[0][0]))
    return [(*row, "" if len(names) == len(centres) else ", ".join(names)) for row, names in rows]


def _any_file(source: str, kind: str, words: Words) -> str:
    """Inputs are the same whatever their files are called."""
    return words("given in file") if kind == "input" else source


def _bound_names(centres: Any) -> list[str]:
    """Bounds that any job of any centre has, in their order."""
    shares = [j["bounds_share"] for c in centres for j in c["jobs"] if j["month"]]
    return [n for n in (shares[0] if shares else {}) if any(s[n] > _LEAST_SHARE for s in shares)]


def _command(centres: Any) -> str:
    names = " ".join(centre["name"].rpartition("/")[2] for centre in centres)
    word = "compare " if len(centres) > 1 else ""
    seed = centres[0]["seed"]
    return f"suiren centre {word}{names}" + (f" --seed {seed}" if seed else "")


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_read("centre.html"))


def _read(name: str) -> str:
    return files("suiren.report").joinpath(name).read_text(encoding="utf-8")
