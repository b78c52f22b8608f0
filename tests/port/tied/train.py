"""A training script as they are: each line with a tie says which."""

from __future__ import annotations

import argparse
import os
import subprocess
import time

import torch
import torch.backends.cudnn as cudnn
import torch.cuda as tc
import torch.distributed as dist
from torch import cuda, nn
from torch.cuda.amp import GradScaler, autocast  # tie: cuda-amp
from torch.nn.parallel import DistributedDataParallel as DDP

os.environ["CUDA_VISIBLE_DEVICES"] = "0"  # tie: cuda-env
os.environ.setdefault("NCCL_DEBUG", "INFO")  # tie: nccl-env
cudnn.benchmark = True  # tie: cudnn-flag
torch.backends.cuda.matmul.allow_tf32 = True  # tie: cudnn-flag

GPU = "cuda:0"  # tie: device-text


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", help="cuda or cpu")  # tie: device-text
    parser.add_argument("--backend", type=str, default="nccl")  # tie: nccl-backend
    parser.add_argument("--local-rank", type=int, default=0)
    return parser.parse_args()


class Block(nn.Module):
    def __init__(self, width: int, device: str = "cuda") -> None:  # tie: device-text
        super().__init__()
        self.proj = nn.Linear(width, width).to(device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.is_cuda, "the kernel wants CUDA"  # tie: requires-cuda
        mask = torch.zeros(x.shape[0], device=x.get_device())
        ids = torch.arange(x.shape[1], dtype=torch.int64) * 3 + 1  # tie: int64-arithmetic
        with cuda.stream(self.stream()):  # tie: cuda-stream
            y = self.proj(x)
        return y + mask[:, None] + ids.to(y).cuda().sum()  # tie: cuda-call

    def stream(self) -> torch.cuda.Stream:
        return tc.Stream()  # tie: cuda-stream


def setup(rank: int, world: int) -> None:
    dist.init_process_group("nccl", rank=rank, world_size=world)  # tie: nccl-backend
    torch.cuda.set_device(rank)  # tie: cuda-set-device
    tc.manual_seed_all(1)  # tie: cuda-seed


def build(rank: int) -> nn.Module:
    model = Block(8).cuda(rank)  # tie: cuda-call
    state = torch.load("last.pt", map_location=f"cuda:{rank}")  # tie: device-text
    model.load_state_dict(state)
    where = torch.device("cuda", rank)  # tie: device-text
    model = model.to(where)
    return DDP(model, device_ids=[rank], output_device=rank)  # tie: ddp-device-ids ddp-device-ids


def report() -> None:
    gib = 2**30
    print(f"peak {torch.cuda.max_memory_allocated() / gib:.2f}")  # tie: cuda-memory
    torch.cuda.reset_peak_memory_stats()  # tie: cuda-memory
    print(torch.cuda.get_device_name(0))  # tie: cuda-question
    print(torch.cuda.get_device_properties(0).total_memory)  # tie: cuda-device-facts
    print(torch.cuda.memory_summary())  # tie: cuda-memory-report
    subprocess.run(["nvidia-smi", "-L"], check=False)  # tie: nvidia-tool


def graphed(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    graph = torch.cuda.CUDAGraph()  # tie: cuda-graph
    with torch.cuda.graph(graph):  # tie: cuda-graph
        y = model(x)
    graph.replay()
    return y


def train(args: argparse.Namespace) -> None:
    rank = args.local_rank
    setup(rank, 1)
    model = build(rank)
    fast = torch.compile(model, mode="max-autotune")  # tie: compile-mode
    scaler = GradScaler()  # tie: cuda-amp
    start, end = (cuda.Event(enable_timing=True) for _ in range(2))  # tie: cuda-event
    target = torch.randn(4, 8).pin_memory().to(0, non_blocking=True)  # tie: pinned-memory device-ordinal
    weights = torch.ones(8, dtype=torch.float64, device=GPU)  # tie: float64
    Tensor = torch.cuda.FloatTensor  # tie: cuda-type-object
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(3):
        cuda.nvtx.range_push(f"step {step}")  # tie: cuda-nvtx
        start.record()
        x = torch.cuda.FloatTensor(4, 8).normal_()  # tie: cuda-tensor-type
        with autocast(dtype=torch.bfloat16):  # tie: cuda-amp
            loss = (fast(x) - target).square().mean() * weights.float().mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        end.record()
        torch.cuda.synchronize()  # tie: cuda-synchronize
        print(start.elapsed_time(end), loss.item(), time.time(), Tensor)
        tc.nvtx.range_pop()  # tie: cuda-nvtx
        torch.cuda.empty_cache()  # tie: cuda-memory
    report()


if __name__ == "__main__":
    if not torch.cuda.is_available():  # tie: requires-cuda
        raise SystemExit("CUDA is needed")
    train(parse())
