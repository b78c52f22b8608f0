"""FSDP2 over all ranks of layers whose rows end at different ranks; the optimizer is named."""

import sys
from itertools import pairwise

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

how = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}
widths = [int(width) for width in sys.argv[2:]]
dist.init_process_group("nccl")
mesh = init_device_mesh("cuda", (dist.get_world_size(),))
layers = [
    torch.nn.Sequential(torch.nn.Linear(before, after), torch.nn.ReLU())
    for before, after in pairwise(widths)
]
model = torch.nn.Sequential(*layers).cuda()
for layer in model:
    fully_shard(layer, mesh=mesh)
fully_shard(model, mesh=mesh)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **how[sys.argv[1]])
for _ in range(3):
    model(torch.ones(4, widths[0], device="cuda")).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
