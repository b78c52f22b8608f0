"""Llama with fully sharded data parallelism (FSDP2), and tensor parallelism inside it."""

import argparse
import os
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812
from llama_blocks import SHAPES, Llama
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)


def split_tensors(model, mesh):
    """Megatron's way: columns, then rows; one all-reduce after attention and one after the MLP."""
    plan = {
        "attention.wq": ColwiseParallel(), "attention.wk": ColwiseParallel(),
        "attention.wv": ColwiseParallel(), "attention.wo": RowwiseParallel(),
        "ffn.w1": ColwiseParallel(), "ffn.w3": ColwiseParallel(), "ffn.w2": RowwiseParallel(),
    }  # fmt: skip
    for layer in model.layers:
        parallelize_module(layer, mesh, plan)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--size", choices=SHAPES, default="tiny")
    p.add_argument("--layers", type=int, help="fewer layers than the size has")
    p.add_argument("--tp", type=int, default=1, help="cards that share each layer's tensors")
    p.add_argument("--batch-size", type=int, default=1)
    p.add_argument("--seq-len", type=int, default=4096)
    p.add_argument("--recompute", action="store_true", help="activation checkpointing")
    p.add_argument("--keep-unsharded", action="store_true", help="ZeRO-2 instead of ZeRO-3")
    p.add_argument("--steps", type=int, default=3)
    args = p.parse_args()

    dist.init_process_group("nccl")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    shape = SHAPES[args.size]
    shape.layers = args.layers or shape.layers

    began = time.perf_counter()
    mesh = init_device_mesh("cuda", (world // args.tp, args.tp), mesh_dim_names=("dp", "tp"))
    with torch.device("meta"):
        model = Llama(shape)
    if args.tp > 1:
        split_tensors(model, mesh["tp"])
    if args.recompute:
        for i, layer in enumerate(model.layers):
            model.layers[i] = checkpoint_wrapper(layer)
    half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    keep = {"reshard_after_forward": False} if args.keep_unsharded else {}
    for layer in model.layers:
        fully_shard(layer, mesh=mesh["dp"], mp_policy=half, **keep)
    fully_shard(model, mesh=mesh["dp"], mp_policy=half, **keep)
    model.to_empty(device=device)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    if rank == 0:
        print(f"built in {time.perf_counter() - began:.2f} s")

    generator = torch.Generator().manual_seed(rank // args.tp)
    for step in range(args.steps):
        began = time.perf_counter()
        tokens = torch.randint(
            shape.vocab, (args.batch_size, args.seq_len + 1), generator=generator
        ).to(device)
        logits = model(tokens[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        loss.backward()
        if args.tp == 1:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach().clone()
        dist.all_reduce(mean, op=dist.ReduceOp.AVG)
        if rank == 0:
            took = time.perf_counter() - began
            print(f"step {step} loss {mean.item():.4f}, {took:.2f} s on the clock", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
