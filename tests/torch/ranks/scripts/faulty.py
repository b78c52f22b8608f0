"""Goes wrong in the way that is asked for."""

import sys

import torch
import torch.distributed as dist

how = sys.argv[1]
if how == "alone":
    torch.ones(4, device="cuda").exp()
    sys.exit()
dist.init_process_group("nccl")
x = torch.ones(4, device="cuda")
if how == "mesh":
    dist.init_device_mesh("cuda", (3, 5))
elif how == "waits" and dist.get_rank() == 0:
    dist.recv(x, src=1)
elif how == "waits":
    dist.all_reduce(x)
elif how == "store":
    dist.distributed_c10d._get_default_store().get("nobody sets this")
elif how == "full":
    dist.all_reduce(x)
    if dist.get_rank() == 0:
        dist.send(x, dst=1)
    else:
        dist.recv(x, src=0)
        torch.empty(1 << 40, device="cuda")
