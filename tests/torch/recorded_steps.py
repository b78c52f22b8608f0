"""What was recorded, op by op, and a small model to record."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from suiren.trace.call import Call
from suiren.trace.program import Context, Kind, Program, Step


@dataclass
class Op:
    """An op of a step with its surroundings."""

    call: Call
    context: Context
    storages: list[int]


def ops_of(program: Program, step: Step) -> list[Op]:
    rows = step.events.tolist()
    return [
        Op(program.calls[what], program.contexts[context], step.storages_of(i).tolist())
        for i, (kind, what, context, _, _) in enumerate(rows)
        if kind == Kind.OP
    ]


def places(ops: list[Op], name: str) -> list[tuple[str, str]]:
    """(phase, path) of every op of that name."""
    return [(op.context.phase, op.context.path) for op in ops if op.call.name == name]


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(F.relu(self.up(x)))


class Net(nn.Module):
    def __init__(self, checkpointed=False):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(2))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 4)
        self.checkpointed = checkpointed

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        return self.head(self.norm(x))
