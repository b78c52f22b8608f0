"""When each instruction of a core's first tiles runs: what a picture is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.core.loop import BEGIN, PAUSE, Op
from suiren.core.pace import engines_of
from suiren.core.phase import Phase, phases
from suiren.core.program import Program
from suiren.core.timing import Flows, durations
from suiren.core.unrolled import Definition
from suiren.hw.spec import Card

__all__ = ["Bar", "timeline"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One instruction on an engine. Picoseconds from the grid's start."""

    engine: str
    name: str
    line: str
    start: int
    end: int
    arrives: int


def timeline(program: Program, card: Card, most: int = 400, grid: int = 0) -> list[Bar]:
    """The first `most` instructions of a grid on one core, in the order of issue.

    Raises IndexError if the program has no such grid.
    """
    phase = phases(program, card)[grid]
    engines = engines_of(card)
    flows = Flows.of(phase, card, {})
    wave = phase.waves[0]
    table, _ = durations(phase, engines, wave, flows)
    core = Definition([t.buffers for t in program.tiles])
    begin: Op = (BEGIN if phase.grid.fresh else PAUSE, 0, len(phase.steps), 0, ())
    for _ in range(wave.count):
        core.run((begin, *phase.ops), table, wave.trips, most)
        if len(core.ran) >= most:
            break
    return [_bar(phase, ran.op, ran.engine, ran.start, ran.end, ran.arrives) for ran in core.ran
            if ran.op[0] not in (BEGIN, PAUSE)]  # fmt: skip


def _bar(phase: Phase, op: Op, engine: str, start: int, end: int, arrives: int) -> Bar:
    step = phase.steps[op[2]]
    return Bar(engine, step.name, step.line, start, end, arrives)
