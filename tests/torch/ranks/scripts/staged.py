"""Stages that learn their shapes from each other, each with data-parallel copies."""

import os
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

stages, width = int(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("nccl")
device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
torch.cuda.set_device(device)
mesh = init_device_mesh(
    "cuda", (stages, dist.get_world_size() // stages), mesh_dim_names=("pp", "dp")
)
index = mesh["pp"].get_local_rank()
layers = [torch.nn.Linear(width, width) for _ in range(1 + (index == stages - 1))]
module = torch.nn.Sequential(*layers).to(device)
stage = PipelineStage(module, index, stages, device, group=mesh["pp"].get_group())
schedule = Schedule1F1B(stage, 4, loss_fn=lambda y, t: (y - t).square().mean())
optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
for _ in range(2):
    x = torch.ones(8, width, device=device)
    given = (x,) if index == 0 else ()
    schedule.step(*given, **({"target": x} if index == stages - 1 else {}))
    for parameter in module.parameters():
        dist.all_reduce(parameter.grad, group=mesh["dp"].get_group())
    optimizer.step()
    optimizer.zero_grad()
