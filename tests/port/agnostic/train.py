"""Runs on whatever is there; cuda is only spoken of. Not one line here is a tie."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

try:
    from flash_attn import flash_attn_func
except ImportError:
    flash_attn_func = None

try:
    import triton

    HAS_TRITON = True
except ImportError:
    HAS_TRITON = False

try:
    from apex.optimizers import FusedAdam as Adam
except (ImportError, RuntimeError):
    from torch.optim import Adam

if HAS_TRITON:

    @triton.jit
    def scale(x):
        """Runs on CUDA only: `x.cuda()`."""

log = logging.getLogger("cuda")
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
use_cuda = torch.cuda.is_available()
kwargs = {"num_workers": 1, "pin_memory": True} if use_cuda else {}
BACKENDS = {"cuda": "nccl", "cpu": "gloo", "gcu": "eccl"}
LABELS = ["cpu", "cuda", "mps"]
cuda_like = "cudart"
message = "train with device='cuda' or torch.cuda.is_available()"
accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None


def pick(wanted: str | None = None) -> torch.device:
    """The device: cuda, mps, xpu or cpu; `model.cuda()` is not needed."""
    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        name = "cuda"
    elif torch.backends.mps.is_available():
        name = "mps"
    elif hasattr(torch, "xpu") and torch.xpu.is_available():
        name = "xpu"
    else:
        name = "cpu"
    return torch.device(name)


def device_name() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "cpu"


def seed(value: int) -> None:
    torch.manual_seed(value)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(value)
        torch.backends.cudnn.deterministic = True


def synchronise(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()


def peak(where: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if where.type == "cuda" else 0


def name_of_card() -> str:
    if not torch.cuda.is_available():
        return "cpu"
    torch.cuda.empty_cache()
    return torch.cuda.get_device_name(0)


class Attention(nn.Module):
    def __init__(self, width: int, classes: int = 10) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.embedding = nn.Embedding(classes, width)

    def forward(self, x: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x + self.embedding(ids.long())).chunk(3, -1)
        positions = torch.arange(x.shape[1], device=x.device)
        mask = positions[:, None] >= positions[None, :]
        if flash_attn_func is not None and x.is_cuda:
            return flash_attn_func(q, k, v)
        if x.is_cuda:
            scale = 2.0
        else:
            scale = 1.0
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def batch(where: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.from_numpy(np.zeros((4, 8), dtype=np.float32)).to(where)
    labels = torch.randint(0, 10, (4,), dtype=torch.long)
    return x.to(dtype), labels.to(x.device, non_blocking=True)


def train(args: argparse.Namespace) -> None:
    where = pick(args.device)
    model = Attention(8).to(where)
    if torch.cuda.device_count() > 1:
        model = nn.DataParallel(model)
    if args.cuda:
        model.cuda()
    amp = where.type == "cuda" and torch.cuda.is_bf16_supported()
    context = torch.autocast(where.type, torch.bfloat16) if amp else contextlib.nullcontext()
    scaler = torch.amp.GradScaler(where.type, enabled=amp)
    state = torch.load(args.checkpoint, map_location="cpu") if args.checkpoint else None
    if where.type == "cuda":
        model = torch.compile(model)
    for _ in range(args.steps):
        x, labels = batch(where, torch.float32)
        begin = time.perf_counter()
        with context:
            loss = F.cross_entropy(model(x, labels), labels)
        scaler.scale(loss).backward()
        try:
            torch.cuda.synchronize()
        except (RuntimeError, AssertionError):
            log.info("no cuda here")
        print("cuda" in str(where), time.perf_counter() - begin, state, loss.dtype == torch.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description="trains on cuda or anything else")
    parser.add_argument("--device", default=None, choices=["cpu", "cuda", "gcu"])
    parser.add_argument("--cuda", action="store_true", help="use cuda")
    parser.add_argument("--checkpoint", default="")
    parser.add_argument("--steps", type=int, default=2)
    args = parser.parse_args()
    args.cuda = args.cuda and torch.cuda.is_available()
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    print(backend, BACKENDS["cuda"], LABELS, cuda_like, message, kwargs, Adam, sys.argv)
    print(os.environ.get("DEVICE", "cpu"), torch.__version__)
    train(args)


if __name__ == "__main__":
    main()
