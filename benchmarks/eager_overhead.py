"""Wall time of a training step on the virtual card against the same step on plain CPU.

Two processes take turns, so that whatever else the machine does falls on both; each turn's
ratio is kept and the median reported, with a control in which both run on plain CPU.
Recording and timing are on.

    python benchmarks/eager_overhead.py [--rounds 15] [--models mlp gpt2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from statistics import median


def mlp(device: str):
    """A small MLP, where every microsecond per op shows: 28 ops a step."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Linear(32, 64), torch.nn.GELU(), torch.nn.Linear(64, 64), torch.nn.GELU(),
              torch.nn.Linear(64, 10)]  # fmt: skip
    model = torch.nn.Sequential(*layers).to(device)
    x, y = torch.randn(64, 32, device=device), torch.randint(0, 10, (64,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step, 300


def gpt2(device: str):
    """GPT-2 small of transformers, batch 1 × 256, fused AdamW, no dropout.

    The optimizer is named because PyTorch's default differs: foreach on an accelerator, a
    loop on the host.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    model = GPT2LMHeadModel(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, config.vocab_size, (1, 256), device=device)

    def step() -> None:
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()

    return step, 1


MODELS = {"mlp": mlp, "gpt2": gpt2}


def worker(model: str, device: str) -> None:
    """Answers each line of standard input with the seconds one turn took."""
    import torch

    torch.set_num_threads(2)
    if device == "gcu":
        from suiren.hw.load import resolve_card
        from suiren.torch.session import Session

        Session(resolve_card("t21")).begin()
    step, count = MODELS[model](device)
    for _ in range(max(3, count // 10)):
        step()
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(count):
            step()
        print((time.perf_counter() - start) / count, flush=True)


class Worker:
    """One process that runs turns on demand."""

    def __init__(self, model: str, device: str) -> None:
        command = [sys.executable, __file__, "--worker", model, device]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self) -> float:
        """Seconds of one step."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()


def ratios(model: str, device: str, rounds: int) -> list[float]:
    """Turn by turn: time on the device over time on plain CPU, order alternating."""
    plain, other = Worker(model, "cpu"), Worker(model, device)
    plain.turn(), other.turn()
    out = []
    for i in range(rounds):
        first, second = (plain, other) if i % 2 else (other, plain)
        a, b = first.turn(), second.turn()
        out.append(b / a if first is plain else a / b)
    plain.stop()
    other.stop()
    return out


def main() -> None:
    """Prints a line of JSON for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--worker", nargs=2)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return
    for model in options.models:
        control = ratios(model, "cpu", options.rounds)
        found = ratios(model, "gcu", options.rounds)
        print(json.dumps({
            "model": model,
            "ratio_median": round(median(found), 3),
            "ratio_range": [round(min(found), 3), round(max(found), 3)],
            "control_median": round(median(control), 3),
            "rounds": options.rounds,
        }))  # fmt: skip


if __name__ == "__main__":
    main()
