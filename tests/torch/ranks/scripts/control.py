"""Values that steer a script, exchanged; printed as one line of JSON."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

dist.init_process_group("cpu:gloo,cuda:nccl", device_id=torch.device("cuda:0"))
rank, world = dist.get_rank(), dist.get_world_size()
found = {}
for op in ("SUM", "MAX", "AVG", "PRODUCT"):
    for device in ("cpu", "cuda"):
        x = torch.tensor([2.0, rank + 3.0], device=device)
        dist.all_reduce(x, op=getattr(dist.ReduceOp, op))
        found[f"{op} {device}"] = x.tolist()
gathered = [None] * world
dist.all_gather_object(gathered, {"rank": rank})
found["gathered"] = [g["rank"] for g in gathered]
told = [{"seed": 7} if rank == 0 else None]
dist.broadcast_object_list(told, src=0)
found["told"] = told[0]
pieces = torch.empty(1)
dist.scatter(pieces, [torch.tensor([10.0 + i]) for i in range(world)] if rank == 0 else None)
found["piece"] = pieces.item()
mesh = init_device_mesh("cuda", (world // 2, 2), mesh_dim_names=("a", "b"))
found["group"] = dist.get_process_group_ranks(mesh["b"].get_group())
found["names"] = [dist.get_backend(), dist.get_backend(dist.new_group(backend="gloo"))]
store = dist.distributed_c10d._get_default_store()
if rank == 0:
    store.set("key", "value")
found["key"] = store.get("key").decode()
dist.barrier()
dist.monitored_barrier(dist.new_group(backend="gloo"))
Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(found))
