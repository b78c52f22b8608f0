"""Names of long-lived storages: who a reader is told owns the memory."""

from __future__ import annotations

import gc

import pytest
import torch
from device_helpers import run_suiren
from torch import nn

from suiren.mapper.memory import memory_use
from suiren.trace.text import load_program


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
    assert sum(o.bytes for o in owners if o.kind == "gradients") == 4 * 256 * 256
    assert any(o.kind == "weights" and o.name == "Linear.weight" for o in owners)


LABELLED = """
import torch
def train(names):
    parts = torch.nn.ModuleDict({name: torch.nn.Linear(4, 4) for name in names}).to("gcu")
    optimizers = [torch.optim.AdamW(part.parameters()) for part in parts.values()]
    for _ in range(3):
        for name, optimizer in zip(names, optimizers):
            optimizer.zero_grad()
            parts[name](torch.ones(2, 4, device="gcu")).sum().backward()
        for optimizer in optimizers:
            optimizer.step()
    return parts, optimizers
kept = train(["one"])
also = train(["two", "three"])
"""


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """(kind, name) of everything named in a script that trains twice."""
    folder = tmp_path_factory.mktemp("labels")
    script, trace = folder / "script.py", folder / "trace.gz"
    script.write_text(LABELLED)
    run_suiren(script, "--save-trace", trace)
    return {(label.kind, label.name) for label in load_program(trace).labels.values()}


def test_labels_name_weights_gradients_and_states(labels):
    kinds = [kind for kind, _ in labels]
    assert kinds.count("weights") >= 2
    assert kinds.count("gradients") >= 2
    assert kinds.count("optimizer state") >= 4
    assert any(name.endswith("weight.exp_avg_sq") for _, name in labels)


@pytest.mark.xfail(strict=True, reason="B29: only the first optimizer and its first two steps")
def test_labels_name_what_later_and_second_optimizers_hold(labels):
    assert [kind for kind, _ in labels].count("optimizer state") >= 12
