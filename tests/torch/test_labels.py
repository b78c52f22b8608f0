"""Names of long-lived storages: who a reader is told owns the memory."""

from __future__ import annotations

import gc

import torch
from torch import nn

from suiren.mapper.memory import memory_use


def test_what_takes_a_gradient_s_number_does_not_take_its_name(session):
    gc.collect()
    model = nn.Linear(256, 256, bias=False).to("gcu")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    kept = []
    for number in range(6):
        optimizer.zero_grad()
        if number == 3:  # enough of them to take the number of the gradient that is gone
            kept += [torch.zeros(300, 300, device="gcu") for _ in range(8)]
        # a step that was seen keeps what was alive when it was seen first: these differ
        model(torch.ones(2 + number // 3, 256, device="gcu")).sum().backward()
        optimizer.step()
    program = session.program()
    owners = memory_use(program, program.distinct[program.order[-1]]).owners
    size = -(-4 * 300 * 300 // 512) * 512
    assert sum(o.bytes for o in owners if o.kind == "gradients") == 4 * 256 * 256
    assert sum(o.bytes for o in owners if o.kind == "other") >= 8 * size
    assert any(o.kind == "weights" and o.name == "Linear.weight" for o in owners)
