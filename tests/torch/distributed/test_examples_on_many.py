"""The examples for many cards lose as one process does, however they are split."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from launched import HERE, launch
from torch import nn

EXAMPLES = HERE.parents[2] / "examples" / "distributed"
STEPS = 3
RUNS = {
    "ddp": (2,), "fsdp2": (2, "--batch-size", 16), "tensor_parallel": (2,),
    "pipeline": (2, "--schedule", "gpipe"), "two_dimensions": (4,),
}  # fmt: skip


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
@pytest.mark.parametrize("name", RUNS)
def test_the_losses_are_those_of_one_process(name, capfd):
    devices, *options = RUNS[name]
    ran = launch(EXAMPLES / f"{name}.py", "--steps", STEPS, *options, devices=devices)
    assert set(ran.ended) == {"finished"}, ran.outcomes[0].error
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", capfd.readouterr().out)]
    assert losses == pytest.approx(losses_of_one_process(), abs=2e-4)
