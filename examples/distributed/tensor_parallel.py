"""Tensor parallel: every rank has its heads and its columns; all see the whole batch.

torchrun --nproc-per-node 4 tensor_parallel.py
"""

import argparse
import os

import torch
import torch.distributed as dist
from text_model import batch, layers, loss_of, text
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--batch-size", type=int, default=16)
args = p.parse_args()

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
mesh = init_device_mesh("cuda", (int(os.environ["WORLD_SIZE"]),), mesh_dim_names=("tp",))

model = nn.Sequential(*layers()).cuda()
for block in model[1:-1]:
    parallelize_module(block, mesh, {
        "attention.q": ColwiseParallel(), "attention.k": ColwiseParallel(),
        "attention.v": ColwiseParallel(), "attention.out": RowwiseParallel(),
        "mlp.up": ColwiseParallel(), "mlp.down": RowwiseParallel(),
    })  # fmt: skip
optimizer = torch.optim.AdamW(model.parameters(), 1e-3, foreach=False)
data = text()
for step in range(args.steps):
    tokens, targets = batch(data, step, args.batch_size)
    loss = loss_of(model(tokens.cuda()), targets.cuda())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    if dist.get_rank() == 0:
        print(f"step {step} loss {loss.item():.4f}")
dist.destroy_process_group()
