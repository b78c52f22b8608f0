"""Column- and row-parallel layers in the ways that people train them; `hooked` adds empty hooks.

A layer with a hook of the script's own is computed by PyTorch's own way of sharded tensors.
"""

import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.utils.checkpoint import checkpoint

wrapped = 0
from_local = DTensor.from_local


def counted(*arguments, **keywords):
    global wrapped
    wrapped += 1
    return from_local(*arguments, **keywords)


DTensor.from_local = staticmethod(counted)


class Block(torch.nn.Module):
    def __init__(self, bias):
        super().__init__()
        self.up, self.gate = (torch.nn.Linear(16, 64, bias=bias) for _ in range(2))
        self.down = torch.nn.Linear(64, 16, bias=False)

    def forward(self, x):
        return x + self.down(self.up(x) * self.gate(x))


dist.init_process_group("nccl")
is_hooked, way = sys.argv[1] == "hooked", sys.argv[2]
mesh = init_device_mesh("cuda", (dist.get_world_size() // 4, 4), mesh_dim_names=("dp", "tp"))
blocks = torch.nn.ModuleList(Block(bias) for bias in (False, True, True)).cuda()
for block in blocks:
    plan = {"up": ColwiseParallel(), "gate": ColwiseParallel(), "down": RowwiseParallel()}
    parallelize_module(block, mesh["tp"], plan)
    if is_hooked:
        for layer in (block.up, block.gate, block.down):
            layer.register_forward_hook(lambda *_: None)
    if way == "sharded":
        fully_shard(block, mesh=mesh["dp"])
if way == "frozen":
    blocks[1].up.weight.requires_grad_(False)
    blocks[2].requires_grad_(False)
optimizer = torch.optim.AdamW([p for p in blocks.parameters() if p.requires_grad], fused=True)


def loss_of(x):
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if way == "again" else block(x)
    return x.square().mean()


for _ in range(3):
    for _ in range(2 if way == "summed" else 1):
        shape = (6, 16) if way == "flat" else (2, 3, 16)
        x = torch.ones(shape, device="cuda", requires_grad=way == "flat")
        loss = loss_of(x)
        if way == "twice":
            grads = torch.autograd.grad(loss, blocks.parameters(), create_graph=True)
            loss = loss + sum(g.to_local().square().sum() for g in grads)
        loss.backward()
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16, enabled=way == "half", cache_enabled=False):
        loss_of(x)
    optimizer.step()
    optimizer.zero_grad()
print(f"wrapped {wrapped}")
assert is_hooked == (wrapped > 0) or way in ("twice", "half"), wrapped
