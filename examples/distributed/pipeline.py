"""Pipeline: every rank has some of the layers; microbatches follow each other through them.

torchrun --nproc-per-node 2 pipeline.py
"""

import argparse
import os

import torch
import torch.distributed as dist
from text_model import batch, layers, loss_of, text
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--steps", type=int, default=10)
p.add_argument("--batch-size", type=int, default=16)
p.add_argument("--microbatches", type=int, default=8)
p.add_argument("--schedule", choices=["1f1b", "gpipe"], default="1f1b")
args = p.parse_args()

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
rank, size = dist.get_rank(), dist.get_world_size()
device = torch.device("cuda", torch.cuda.current_device())

all_layers = layers()
cuts = [round(i * len(all_layers) / size) for i in range(size + 1)]
model = nn.Sequential(*all_layers[cuts[rank] : cuts[rank + 1]]).to(device)
stage = PipelineStage(model, rank, size, device)
kind = {"1f1b": Schedule1F1B, "gpipe": ScheduleGPipe}[args.schedule]
schedule = kind(stage, n_microbatches=args.microbatches, loss_fn=loss_of)
optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
data = text()
for step in range(args.steps):
    tokens, targets = batch(data, step, args.batch_size)
    losses = []
    if rank == 0 and size > 1:
        schedule.step(tokens.to(device))
    elif rank == 0:
        schedule.step(tokens.to(device), target=targets.to(device), losses=losses)
    elif rank == size - 1:
        schedule.step(target=targets.to(device), losses=losses)
    else:
        schedule.step()
    optimizer.step()
    optimizer.zero_grad()
    if rank == size - 1:
        print(f"step {step} loss {torch.stack(losses).mean().item():.4f}")
dist.destroy_process_group()
