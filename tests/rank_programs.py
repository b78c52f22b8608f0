"""Small programs of ranks, written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from suiren.fleet.ranks import RankProgram
from suiren.trace.call import Call, parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step

MM = "aten::mm(self=bf16[{m},1024],mat2=bf16[1024,1024])->(bf16[{m},1024])"


def mm(rows: int) -> Call:
    """A product of so many rows."""
    return parse_call(MM.format(m=rows))


def meet(name: str, size_bytes: int, group: int = 0, peer: int = -1) -> Call:
    """A collective on a group, as the record has it."""
    return parse_call(
        f"eccl::{name}(outputs=[u8[{size_bytes}]],inputs=[],group={group},"
        f"size_bytes={size_bytes},peer={peer})->()"
    )


def group(*ranks: int) -> dict[str, Any]:
    """A row of the table of groups."""
    return {"ranks": {"list": list(ranks)}, "copy": 0, "description": ""}


Row = tuple[Call | Kind, int, int]
"""(a call, or a kind of event; its stream; number of the event)."""


def ran(
    rows: list[Row], groups: list[dict[str, Any]], ranks: tuple[int, ...] = (0,), world: int = 1
) -> RankProgram:
    """A program of one step that repeats twice."""
    calls: list[Call] = []
    events = np.zeros(len(rows), EVENT)
    for index, (what, stream, number) in enumerate(rows):
        if isinstance(what, Call):
            if what not in calls:
                calls.append(what)
            events[index] = (Kind.OP, calls.index(what), 0, stream, 0)
        else:
            events[index] = (what, number, 0, stream, 0)
    step = Step(events, np.zeros(0, np.int32), np.zeros(0, LIVE))
    facts = {"groups": groups, "rank": ranks[0], "world_size": world}
    program = Program(calls, [Context("forward", "")], [step], [0, 0], facts=facts)
    return RankProgram(ranks, program)
