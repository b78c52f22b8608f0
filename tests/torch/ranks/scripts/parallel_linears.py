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
is_hooked, ways = sys.argv[1] == "hooked", sys.argv[2].split("+")
mesh = init_device_mesh("cuda", (dist.get_world_size() // 4, 4), mesh_dim_names=("dp", "tp"))
blocks = torch.nn.ModuleList(Block(bias) for bias in (False, True, True)).cuda()
for block in blocks:
    plan = {"up": ColwiseParallel(), "gate": ColwiseParallel(), "down": RowwiseParallel()}
    parallelize_module(block, mesh["tp"], plan)
    if is_hooked:
        for layer in (block.up, block.gate, block.down):
            layer.register_forward_hook(lambda *_: None)
    if "sharded" in ways:
        fully_shard(block, mesh=mesh["dp"])
if "frozen" in ways:
    blocks[1].up.weight.requires_grad_(False)
    blocks[2].requires_grad_(False)
optimizer = torch.optim.AdamW([p for p in blocks.parameters() if p.requires_grad], fused=True)


def loss_of(x):
    for block in blocks:
        x = checkpoint(block, x, use_reentrant=False) if "again" in ways else block(x)
    return x.square().mean()


for _ in range(3):
    for _ in range(2 if "summed" in ways else 1):
        shape = (6, 16) if "flat" in ways else (2, 3, 16)
        x = torch.ones(shape, device="cuda", requires_grad="flat" in ways)
        loss_of(x).backward()
    # what a cache of casts frees, it frees in no order
    half = torch.autocast("cuda", torch.bfloat16, enabled="half" in ways, cache_enabled=False)
    with torch.no_grad(), half:
        loss_of(x)
    optimizer.step()
    optimizer.zero_grad()
assert is_hooked == (wrapped > 0) or "half" in ways, wrapped
