"""Where in its author's file an instruction stands, for messages."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import CodeType

#: Places in code that were asked for before. The code is kept, so that its `id` stays its own.
_LINES: dict[tuple[int, int], tuple[CodeType, str]] = {}


def line_outside(file: str) -> str:
    """`path:12` of the nearest call that was not made from within `file`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == file:
        frame = frame.f_back
    code = frame.f_code
    place = (id(code), frame.f_lasti)
    known = _LINES.get(place)
    if known is None:
        known = _LINES[place] = (code, f"{code.co_filename}:{frame.f_lineno}")
    return known[1]


def source_of(line: str) -> str:
    """`file.py:12: the code there`, for messages."""
    path, _, number = line.rpartition(":")
    text = linecache.getline(path, int(number)).strip() if number.isdigit() else ""
    return f"{Path(path).name}:{number}: {text}"
