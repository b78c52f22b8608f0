"""Fully sharded: every rank keeps its part of weights, gradients and optimizer state.

torchrun --nproc-per-node 8 fsdp2.py
"""

import argparse
import os

import torch
import torch.distributed as dist
from text_model import batch, layers, loss_of, text
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--batch-size", type=int, default=16, help="of all ranks together")
p.add_argument("--bf16", action="store_true", help="compute in BF16, reduce in FP32")
args = p.parse_args()

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("cpu:gloo,cuda:nccl")
rank, size = dist.get_rank(), dist.get_world_size()
mesh = init_device_mesh("cuda", (size,), mesh_dim_names=("shard",))
precision = MixedPrecisionPolicy(torch.bfloat16, torch.float32) if args.bf16 else None

model = nn.Sequential(*layers()).cuda()
for part in (*model, model):
    fully_shard(part, mesh=mesh, **({"mp_policy": precision} if precision else {}))
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
data = text()
for step in range(args.steps):
    tokens, targets = batch(data, step, args.batch_size, rank, size)
    loss = loss_of(model(tokens.cuda()), targets.cuda())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    optimizer.zero_grad()
    dist.all_reduce(loss.detach_(), dist.ReduceOp.AVG)
    if rank == 0:
        print(f"step {step} loss {loss.item():.4f}")
dist.destroy_process_group()
