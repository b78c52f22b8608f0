"""What it costs that every collective is posted before it moves: a DDP step with it and without.

    python benchmarks/collective_guard.py

One rank of one, so that nothing but the posting differs; the ratio is printed last.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from suiren.hw.load import resolve_card
from suiren.torch import transfer
from suiren.torch.distributed import backend
from suiren.torch.distributed.guard import Guard
from suiren.torch.session import Session

STEPS, ROUNDS, LAYERS = 30, 7, 8


class NoLauncher:
    """A line to a launcher that has nothing to say."""

    stop_reason = None

    def say(self, **_: object) -> None:
        """Nobody listens."""


def seconds_a_step(model: nn.Module, x: torch.Tensor) -> float:
    """Processor seconds of a small step with one all-reduce a layer."""
    start = time.process_time()
    for _ in range(STEPS):
        model(x).sum().backward()
        for parameter in model.parameters():
            dist.all_reduce(parameter.grad)
    return (time.process_time() - start) / STEPS


def main() -> None:
    """Alternates rounds with and without, and prints medians and their ratio."""
    os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    session = Session(resolve_card("t21"))
    session.begin()
    transfer.install()
    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", 0, is_master=True)
    dist.init_process_group("nccl", store=store, rank=0, world_size=1)
    layers = [nn.Linear(64, 64, bias=False) for _ in range(LAYERS)]
    model, x = nn.Sequential(*layers).cuda(), torch.randn(16, 64, device="cuda")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        guard = Guard(Path(folder), 0, 1, NoLauncher())  # type: ignore[arg-type]
        seconds: dict[bool, list[float]] = {True: [], False: []}
        seconds_a_step(model, x)
        for _ in range(ROUNDS):
            for guarded in (True, False):
                if guarded:
                    guard.install()
                seconds[guarded].append(seconds_a_step(model, x))
                if guarded:
                    backend.mover.pop()
                    backend.on_collective.clear()
    on, off = (statistics.median(seconds[guarded]) for guarded in (True, False))
    print(f"posted {on * 1e3:.3f} ms a step, not posted {off * 1e3:.3f} ms, {LAYERS} all-reduces")
    print(f"{(on - off) / LAYERS * 1e6:.1f} µs a collective; ratio {on / off:.3f}")


if __name__ == "__main__":
    main()
