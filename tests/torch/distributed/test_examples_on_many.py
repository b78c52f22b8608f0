"""The examples for many cards lose as one process does, however they are split.

The same on two ranks, with smaller models, is in every run: test_real_scripts.
"""

from __future__ import annotations

import re
import sys
from functools import cache

import pytest
import torch
from launched import HERE, launch
from torch import nn

EXAMPLES = HERE.parents[2] / "examples" / "distributed"
STEPS = 3
#: Options of each example by number of devices: eight tensor-parallel ranks share eight heads,
#: eight stages have a layer each.
RUNS = {
    ("fsdp2", 2): ("--batch-size", 16), ("pipeline", 2): ("--schedule", "gpipe"),
    ("two_dimensions", 4): ("--tp", 4),
    ("ddp", 8): (), ("fsdp2", 8): (), ("tensor_parallel", 8): (), ("pipeline", 8): (),
    ("two_dimensions", 8): (),
}  # fmt: skip


@cache
def losses_of_one_process() -> list[float]:
    sys.path.insert(0, str(EXAMPLES))
    try:
        import text_model
    finally:
        sys.path.remove(str(EXAMPLES))
    model = nn.Sequential(*text_model.layers())
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    data, losses = text_model.text(), []
    for step in range(STEPS):
        tokens, targets = text_model.batch(data, step, 16)
        loss = text_model.loss_of(model(tokens), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.parametrize(("name", "devices"), RUNS)
def test_the_losses_are_those_of_one_process(name, devices, capfd):
    given = ("--steps", STEPS, *RUNS[name, devices])
    ran = launch(EXAMPLES / f"{name}.py", *given, devices=devices, on="t21")
    assert ran.ended == ["finished"] * devices, ran.error
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", capfd.readouterr().out)]
    # printed to 4 places; a sum over ranks adds in another order than one over a batch
    assert losses == pytest.approx(losses_of_one_process(), abs=2e-4)
