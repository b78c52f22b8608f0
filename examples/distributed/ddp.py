"""Data parallel: every rank has the whole model and its part of the batch.

torchrun --nproc-per-node 8 ddp.py
"""

import argparse
import os

import torch
import torch.distributed as dist
from text_model import batch, layers, loss_of, text
from torch import nn
from torch.nn.parallel import DistributedDataParallel

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--batch-size", type=int, default=16, help="of all ranks together")
args = p.parse_args()

local_rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(local_rank)
dist.init_process_group("nccl", device_id=torch.device("cuda", local_rank))
rank, size = dist.get_rank(), dist.get_world_size()

model = DistributedDataParallel(nn.Sequential(*layers()).cuda(), device_ids=[local_rank])
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
data = text()
for step in range(args.steps):
    tokens, targets = batch(data, step, args.batch_size, rank, size)
    loss = loss_of(model(tokens.cuda()), targets.cuda())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    dist.all_reduce(loss.detach_(), dist.ReduceOp.AVG)
    if rank == 0:
        print(f"step {step} loss {loss.item():.4f}")
dist.destroy_process_group()
