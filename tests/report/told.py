"""Answers to report on: a small training step, one without products, one out of memory."""

from __future__ import annotations

import numpy as np

from suiren.hw.catalog import CARDS
from suiren.report.answer import Answer, answer
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Label, Program, Step

CONTEXTS = [Context(p, m) for p, m in (
    ("forward", "Net.fc"), ("backward", "Net.fc"), ("optimizer", ""), ("data", ""),
    ("recompute", "Net.fc"), ("forward", "Net"),
)]  # fmt: skip
MM = "aten::mm(self=f32[512,1024],mat2=f32[1024,4096])->(f32[512,4096])"
RELU = "aten::relu(self=f32[512,4096])->(f32[512,4096])"
COPY = "aten::copy_(self=i64[4,128],src=cpu:i64[4,128],non_blocking=false)->(i64[4,128])"
ENTER = "suiren::call(input0=i64[4,128])->()"
ODD = "mine::odd(a=f32[512,4096])->(f32[512,4096])"
ITEM = "aten::_local_scalar_dense(self=f32[])->(~)"
MiB = 2**20


def program(ops: list[tuple[str, int]], *, enter: bool = True, **facts: object) -> Program:
    """A program of (call, context) ops, each with a result of 8 MiB; ten equal steps."""
    lines = sorted({line for line, _ in ops} | {ENTER})
    rows, storages = [], []
    if enter:
        rows.append((Kind.ENTER, lines.index(ENTER), 5, 0, 1))
    for number, (line, context) in enumerate(ops, 10):
        if line == ITEM:
            rows.append((Kind.SYNC, 0, context, 0, 0))
        rows.append((Kind.ALLOC, number, context, 0, 8 * MiB))
        rows.append((Kind.OP, lines.index(line), context, 0, len(storages)))
        storages += [1, number, number]
    rows += [(Kind.FREE, number, 0, 0, 8 * MiB) for number in range(10, 10 + len(ops))]
    live = [(1, 0, 16 * MiB)]
    step = Step(np.array(rows, EVENT), np.array(storages, np.int32), np.array(live, LIVE))
    known = {"script": "train.py", "roots": {"Net": 1024 * 4096}, "numerics": True}
    return Program(
        [parse_call(line) for line in lines], CONTEXTS, [step], [0] * 10,
        labels={1: Label("weights", "Net.fc.weight")}, facts={**known, **facts},
    )  # fmt: skip


TRAINING = [(COPY, 3), (MM, 0), (RELU, 0), (MM, 4), (MM, 1), (ODD, 1), (ITEM, 0)]


def trained(card: str = "toy", *, advise: bool = True) -> Answer:
    return answer(program(TRAINING), CARDS[card], advise=advise)


def without_flop(card: str = "toy") -> Answer:
    return answer(program([(RELU, 0), (RELU, 1)], enter=False), CARDS[card])


OUT_OF_MEMORY = {
    "tried_bytes": 8 * MiB, "allocated_bytes": 60 * MiB, "capacity_bytes": 64 * MiB,
    "owners": [{"kind": "weights", "name": "Net.fc.weight", "bytes": 16 * MiB}],
}  # fmt: skip


def out_of_memory(card: str = "toy") -> Answer:
    fit = {"needed_bytes": 90 * MiB, "sentence": "largest batch that fits: 3"}
    facts = {"out_of_memory": OUT_OF_MEMORY, "fit": fit, "outcome": "out of memory"}
    return answer(program([(MM, 0), (RELU, 0)], **facts), CARDS[card])
