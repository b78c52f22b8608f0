"""Rank 0 logs, the last rank does more; otherwise all do the same."""

import torch
import torch.distributed as dist

dist.init_process_group("nccl")
rank, world = dist.get_rank(), dist.get_world_size()
layer = torch.nn.Linear(64, 64, device="cuda")
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for _ in range(2):
    loss = layer(torch.ones(8, 64, device="cuda")).sum()
    loss.backward()
    for parameter in layer.parameters():
        dist.all_reduce(parameter.grad)
    if rank == world - 1:
        torch.ones(4, device="cuda").exp()
    optimizer.step()
    optimizer.zero_grad()
    if rank == 0:
        print("loss", loss.item())
