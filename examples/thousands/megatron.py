"""Megatron-style 3-D parallel training: tensors, stages and data each over their own cards."""

import argparse
import os
from dataclasses import replace

import torch
import torch.distributed as dist
from flat_optimizer import FlatAdamW
from megatron_blocks import SHAPES, Context, Stage
from tensor_parallel import Group, VocabularyLoss
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleInterleaved1F1B


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--model", choices=SHAPES, default="tiny")
    p.add_argument("--layers", type=int, help="fewer layers than the model has")
    p.add_argument("--seq-len", type=int, help="default: what the model was trained with")
    p.add_argument("--tp", type=int, default=2, help="tensor parallel cards")
    p.add_argument("--pp", type=int, default=2, help="pipeline stages")
    p.add_argument("--cp", type=int, default=1, help="cards that share a sequence")
    p.add_argument("--virtual", type=int, default=1, help="stages a card has (interleaved)")
    p.add_argument("--micro-batch", type=int, default=1)
    p.add_argument("--num-micro-batches", type=int, default=4)
    p.add_argument("--no-sequence-parallel", action="store_true")
    p.add_argument("--whole-optimizer", action="store_true", help="no ZeRO-1")
    p.add_argument("--recompute", action="store_true", help="keep only what enters each layer")
    p.add_argument("--steps", type=int, default=2)
    return p.parse_args()


def stage_layers(layers, stages, index):
    """Layers of a stage, as even as they go; the first and last stages get fewer."""
    each, more = divmod(layers, stages)
    spare = sorted(range(stages), key=lambda s: (s in (0, stages - 1), s))[:more]
    return each + (index in spare)


def sum_tied(stages, shape, mesh, pp):
    """GPT's first and last stage share the embedding: their gradients are summed."""
    if shape.is_llama or pp == 1:
        return None
    ends = mesh["pp"].get_group()
    ranks = dist.get_process_group_ranks(ends)
    group = dist.new_group([ranks[0], ranks[-1]], use_local_synchronization=True)
    if dist.get_rank() not in (ranks[0], ranks[-1]):
        return None
    tables = [s.embedding or s.head for s in stages if s.embedding or s.head]
    return lambda: [dist.all_reduce(t.weight.sum, group=group) for t in tables]


def main():
    args = arguments()
    dist.init_process_group("nccl")
    rank, world = dist.get_rank(), dist.get_world_size()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    shape = SHAPES[args.model]
    shape = replace(
        shape, layers=args.layers or shape.layers, length=args.seq_len or shape.length
    )
    dp = world // (args.tp * args.pp * args.cp)
    mesh = init_device_mesh(
        "cuda", (args.pp, dp, args.cp, args.tp), mesh_dim_names=("pp", "dp", "cp", "tp")
    )
    Group.use(mesh["tp"].get_group(), not args.no_sequence_parallel)
    Context.use(mesh["cp"].get_group())
    data = mesh["dp", "cp"]._flatten("data").get_group() if args.cp > 1 else mesh["dp"].get_group()

    pp_rank, num_stages = mesh["pp"].get_local_rank(), args.pp * args.virtual
    indices = [pp_rank + i * args.pp for i in range(args.virtual)]
    modules = [
        Stage(shape, stage_layers(shape.layers, num_stages, i), i == 0, i == num_stages - 1,
              args.recompute, device)
        for i in indices
    ]  # fmt: skip
    optimizer = FlatAdamW(
        [p for m in modules for p in m.parameters()], data, shard=not args.whole_optimizer
    )
    tied = sum_tied(modules, shape, mesh, args.pp)
    pp_group = mesh["pp"].get_group()
    stages = [
        PipelineStage(m, i, num_stages, device, group=pp_group)
        for m, i in zip(modules, indices, strict=True)
    ]
    how = {"n_microbatches": args.num_micro_batches, "loss_fn": VocabularyLoss.apply}
    if args.virtual > 1:
        schedule = ScheduleInterleaved1F1B(stages, **how)
    else:
        schedule = Schedule1F1B(stages[0], **how)

    batch = args.micro_batch * args.num_micro_batches
    generator = torch.Generator().manual_seed(mesh["dp"].get_local_rank())
    for step in range(args.steps):
        tokens = torch.randint(
            shape.vocab, (batch, shape.length // args.cp + 1), generator=generator
        ).to(device)
        given = (tokens[:, :-1].contiguous(),) if pp_rank == 0 else ()
        is_last = pp_rank == args.pp - 1
        target = {"target": tokens[:, 1:].contiguous()} if is_last else {}
        losses = []
        schedule.step(*given, **target, losses=losses, return_outputs=False)
        if tied:
            tied()
        optimizer.step()
        if rank == world - 1:
            print(f"step {step} loss {torch.stack(losses).mean().item():.4f}", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
