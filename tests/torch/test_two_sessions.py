"""A second session of a process goes on with the record; steps are not counted twice."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import torch, torch_gcu
from suiren.hw.load import resolve_card
from suiren.torch import transfer
from suiren.torch.session import Session
session = Session(resolve_card("a100"))
session.begin(numerics=False)
transfer.install()
model = torch.nn.Linear(8, 8).to("cuda")
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(4):
    model(torch.ones(2, 8, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
program = session.program()
print(program.order, min(step.num_ops for step in program.distinct) > 0)
"""


def test_steps_are_counted_once() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[0, 1, 1, 1] True"
