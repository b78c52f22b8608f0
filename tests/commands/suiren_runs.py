"""Runs of the command line in processes of their own, and the scripts they run."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from warm_python import alone_python, python

COMMAND = [sys.executable, "-m", "suiren.cli"]

TRAIN = """
import sys
import torch
from torch import nn
model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).to("cuda")
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for step in range(4):
    x, y = torch.randn(8, 16, device="cuda"), torch.randint(0, 4, (8,), device="cuda")
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("arguments", sys.argv[1:], "loss", loss.item())
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What was written to stderr, however it was wrapped."""
        return " ".join(self.err.split())


def suiren(*arguments: object, cwd: Path | None = None, alone: bool = False) -> Ran:
    """`suiren …`; `alone`: in a process that loads everything itself, with its own hash seed."""
    start = alone_python if alone else python
    ran = start(*COMMAND[1:], *arguments, cwd=cwd)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def script(folder: Path, text: str, name: str = "train.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def is_one_sentence(ran: Ran) -> str:
    """Exit code 2 and a usage error without a traceback; returns its words."""
    assert ran.code == 2, ran.err
    assert "Traceback" not in ran.err + ran.out
    assert ran.out == ""
    return ran.words
