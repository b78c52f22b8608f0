"""Steps written down line by line, as what advice works on."""

from __future__ import annotations

import numpy as np

from suiren.advise.asked import Asked, asked_of
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Label, Program, Step

PHASES = ("forward", "backward", "optimizer", "data", "recompute")


def program(text: str, weights: tuple[int, ...] = ()) -> Program:
    """A program of one step, run three times.

    Lines are `PHASE CALL : STORAGES`, `alloc NUMBER`, `free NUMBER`, `sync`; `weights` are
    the storages that hold weights.
    """
    calls, rows, storages = [], [], []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word in ("alloc", "free"):
            rows.append((Kind[word.upper()], int(rest), 0, 0, 512))
        elif word == "sync":
            rows.append((Kind.SYNC, 0, 0, 0, 0))
        else:
            call, _, ids = rest.partition(" : ")
            rows.append((Kind.OP, len(calls), PHASES.index(word), 0, len(storages)))
            calls.append(parse_call("aten::" + call))
            storages += [int(n) for n in ids.split()]
    step = Step(np.array(rows, EVENT), np.array(storages, np.int32), np.zeros(0, LIVE))
    contexts = [Context(phase, "Net.fc") for phase in PHASES]
    labels = {n: Label("weights", f"w{n}") for n in weights}
    return Program(calls, contexts, [step], [0, 0, 0], labels=labels)


def asked(text: str, weights: tuple[int, ...] = ()) -> Asked:
    found = program(text, weights)
    return asked_of(found, found.distinct[0])


#: A linear layer trained for one step: x[8,32] · w[32,64], its gradient, plain SGD.
TRAINING = """
    data copy_(self=f32[8,32],src=cpu:f32[8,32],non_blocking=false)->(f32[8,32]) : 2 0 2
    forward mm(self=f32[8,32],mat2=f32[32,64])->(f32[8,64]) : 2 1 3
    forward relu(self=f32[8,64])->(f32[8,64]) : 3 4
    backward threshold_backward(grad_output=f32[8,64],self=f32[8,64])->(f32[8,64]) : 5 4 6
    backward mm(self=f32[32,8]{1,32},mat2=f32[8,64])->(f32[32,64]) : 2 6 7
    sync
    optimizer _foreach_add_.List(self=[f32[32,64]],other=[f32[32,64]],alpha=~)->() : 1 7
"""
