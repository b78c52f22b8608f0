"""Programs written down line by line, in the words of a trace."""

from __future__ import annotations

import numpy as np

from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Label, Program, Step


def step(*lines: str, live: tuple[tuple[int, int, int], ...] = ()) -> Step:
    """`alloc NUMBER BYTES CONTEXT`, `free …`, `op CALL CONTEXT STORAGES…`.

    `live` holds (number, context, bytes).
    """
    rows, storages = [], []
    for line in lines:
        word, *numbers = line.split()
        values = [int(n) for n in numbers]
        if word == "op":
            rows.append((Kind.OP, values[0], values[1], 0, len(storages)))
            storages += values[2:]
        else:
            rows.append((Kind[word.upper()], values[0], values[2], 0, values[1]))
    return Step(np.array(rows, EVENT), np.array(storages, np.int32), np.array(list(live), LIVE))


PHASES = ("forward", "backward", "optimizer", "data", "recompute")


def program(
    *steps: Step, calls: tuple[str, ...] = (), labels: dict[int, tuple[str, str]] | None = None
) -> Program:
    """Contexts 0 to 4 are the phases, each in module `Net.fc`; every step ran once."""
    return Program(
        [parse_call(line) for line in calls],
        [Context(phase, "Net.fc") for phase in PHASES],
        list(steps),
        list(range(len(steps))),
        labels={n: Label(*label) for n, label in (labels or {}).items()},
    )
