"""FSDP2 keeps its shards on the host: they take no memory there, and nobody computes on them."""

import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy, fully_shard

from suiren.torch.hollow_steps import is_hollow

SIZE = 3072

dist.init_process_group("nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
with torch.device("meta"):
    model = nn.Sequential(nn.Linear(SIZE, SIZE, bias=False), nn.Linear(SIZE, 8))
for layer in model:
    fully_shard(layer, offload_policy=CPUOffloadPolicy())
fully_shard(model, offload_policy=CPUOffloadPolicy())
model.to_empty(device="cpu")
for p in model.parameters():
    nn.init.normal_(p)
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
large = model[0].weight
for _ in range(2):
    for _ in range(2):  # gradients add up on the host
        model(torch.randn(4, SIZE, device="cuda")).square().mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
if sys.platform.startswith("linux"):
    state = optimizer.state[large]
    held = [large, state["exp_avg"], state["exp_avg_sq"]]
    assert all(is_hollow(t.to_local()) for t in held)
    ends = [float(large.to_local()[n, 0]) for n in (0, -1)]
    assert ends == [1.0, 1.0], ends  # what a value that nobody has answers
    assert float(model[1].weight.to_local().std()) > 0.5  # small ones have values
assert float(optimizer.state[large]["step"]) == 2.0
