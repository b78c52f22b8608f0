"""One mistake of each kind, chosen on the command line, after two steps that go well."""

import os
import signal
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

kind = sys.argv[1]
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
rank = dist.get_rank()
x = torch.ones(4, device="cuda")
layer = torch.nn.Linear(4, 4).cuda()
optimizer = torch.optim.SGD(layer.parameters(), 0.1)
for _ in range(2):
    layer(x).sum().backward()
    dist.all_reduce(layer.weight.grad)
    optimizer.step()
    optimizer.zero_grad()

if kind == "sizes":
    dist.all_reduce(torch.ones(4 + rank, device="cuda"))
elif kind == "pieces":
    got, sent = torch.empty(6, device="cuda"), torch.ones(6, device="cuda")
    dist.all_to_all_single(got, sent, [3, 3], [2, 4] if rank == 0 else [3, 3])
elif kind == "order":
    if rank == 0:
        dist.all_reduce(x)
    else:
        dist.broadcast(x, 0)
elif kind == "leaves":
    if rank == 0:
        dist.all_reduce(x)
elif kind == "raises":
    if rank == 1:
        raise ValueError("a mistake of rank 1")
    dist.all_reduce(x)
elif kind == "exits":
    if rank == 1:
        sys.exit(3)
    dist.all_reduce(x)
elif kind == "killed":
    if rank == 1:
        Path(sys.argv[2]).write_text(str(os.fork() or time.sleep(60) or 0))
        os.kill(os.getpid(), signal.SIGKILL)
    dist.all_reduce(x)
elif kind == "both receive":
    dist.recv(x, 1 - rank)
elif kind == "message":
    if rank == 0:
        dist.send(x, 1)
    else:
        dist.recv(torch.ones(5, device="cuda"), 0)
elif kind == "group":
    if rank == 0:
        dist.new_group([0, 1])
elif kind == "slow":
    if rank == 1:
        time.sleep(float(sys.argv[2]))
    dist.all_reduce(x)
elif kind == "hangs":
    if rank == 1:
        while True:
            time.sleep(0.01)
    dist.all_reduce(x)
print("rank", rank, "is through")
