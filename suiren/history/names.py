"""Names of records: an id, a tag, a title, `last`, `last~2`; and what to say of a wrong one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

_LAST = re.compile(r"^last(?:~(\d{1,9}))?$")
_ID = re.compile(r"^r(\d{1,15})$")
#: What a tag may look like: a word that is no id and not `last`.
_TAG = re.compile(r"^[\w][\w.+-]{0,63}$")


class HistoryError(ValueError):
    """Something about the history, in one sentence for its user."""


class UnknownRecord(HistoryError):  # noqa: N818 - reads as what it is
    """No record has this name; the sentence tells near ones."""


class HistoryUnusable(HistoryError):  # noqa: N818 - reads as what it is
    """The store cannot be read or written; the sentence says what to do."""


def steps_back(name: str) -> int | None:
    """How far before the newest record a name points: `last` 0, `last~2` 2; None if it is none."""
    match = _LAST.match(name)
    return int(match[1] or 0) if match else None


def number_of(name: str) -> int | None:
    """The number of an id: `r12` is 12; None if it is none."""
    match = _ID.match(name)
    return int(match[1]) if match else None


def check_tag(name: str) -> None:
    """Raises HistoryError where a name cannot be a tag."""
    if steps_back(name) is not None or number_of(name) is not None:
        raise HistoryError(f"{name!r} cannot be a tag: it already names a record; give a word")
    if not _TAG.match(name):
        raise HistoryError(
            f"{name!r} cannot be a tag: give one word of up to 64 letters, digits, . + - or _"
        )


def unknown(name: str, known: Sequence[str], num_records: int) -> UnknownRecord:
    """The error for a name that no record has: the nearest names, or what is there at all."""
    if not num_records:
        return UnknownRecord(f"no record is called {name!r}: the history is empty")
    near = get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=0.5)
    if near:
        return UnknownRecord(
            f"no record is called {name!r}; the nearest names are {', '.join(near)}"
        )
    return UnknownRecord(
        f"no record is called {name!r}; `suiren runs` lists the {num_records:,} there are, "
        "and `last` is the newest"
    )
