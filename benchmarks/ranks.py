"""What a world of thousands of ranks costs: processor time of ranks that run, by world size.

    python benchmarks/ranks.py [--layers N] [--only NAME]

Every ratio compares runs of one invocation, taken in turns; processor time, not the clock's, so
that other work on the machine counts little. `--layers` shortens the models for a quick look.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from suiren.hw.load import resolve_card
from suiren.torch.distributed.alone import run_ranks
from suiren.torch.distributed.hub import Hub
from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.warming import Warm
from suiren.torch.how import UNLIMITED_BYTES, How

EXAMPLES = Path(__file__).parents[1] / "examples" / "thousands"
HOW = How(numerics=False, memory_bytes=UNLIMITED_BYTES)
CARD = resolve_card("h100")
STEPS = 6
#: One rank's step: name, script, its options, layers of the model, bar in seconds.
STEPPED = (
    ("FSDP2 70B", "fsdp_llama.py", ("--size", "70b"), 80, 0.4),
    ("TP8 x FSDP 70B", "fsdp_llama.py", ("--size", "70b", "--tp", "8"), 80, 0.9),
    ("DDP 7B", "ddp_llama.py", ("--size", "7b"), 32, 0.4),
)
#: Whole worlds: name, script, its options, layers of the model.
GROWING = (
    ("FSDP2 70B", "fsdp_llama.py", ("--size", "70b", "--steps", "2"), 80),
    ("GPT-3 175B, TP8 x PP16", "megatron.py",
     ("--model", "gpt3-175b", "--tp", "8", "--pp", "16", "--num-micro-batches", "16"), 96),
)  # fmt: skip


def one_rank(warm: Warm, script: str, options: tuple[str, ...], world_size: int) -> Ran:
    """Rank 0 of a world, run to its end."""
    job = Job(EXAMPLES / script, options, CARD, world_size, HOW, 8)
    with Hub(warm, job) as hub:
        return hub.run([0])[0]


def step_cpu_s(ran: Ran) -> float:
    """Median processor time of a step, the first two left out."""
    times = [after - before for before, after in zip(ran.cpu_s[2:], ran.cpu_s[3:], strict=False)]
    return statistics.median(times)


def world_cpu_s(warm: Warm, script: str, options: tuple[str, ...], world_size: int) -> float:
    """Processor time of all ranks that run, to the end of their last step, and of this process."""
    taken: list[float] = []
    began = time.process_time()
    run_ranks(
        EXAMPLES / script, options, CARD, world_size, HOW, 8,
        lambda ran: taken.append(ran.cpu_s[-1] - ran.cpu_s[0]), warm,
    )  # fmt: skip
    return sum(taken) + time.process_time() - began


def main() -> None:
    """Prints a line a case."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--layers", type=int, help="fewer layers than the models have")
    p.add_argument("--only", default="", help="part of a name")
    args = p.parse_args()
    with Warm(EXAMPLES / "fsdp_llama.py") as warm:
        first_s = 0.0
        for name, script, options, layers, bar_s in STEPPED:
            if args.only not in name:
                continue
            given = (*options, "--layers", str(args.layers or layers), "--steps", str(STEPS))
            ran = one_rank(warm, script, given, 1024)
            took = step_cpu_s(ran)
            ops = ran.outcome.program.distinct[-1].num_ops
            first_s = first_s or took
            print(f"{name}, one rank of 1,024: {took:.3f} s a step, {ops:,} ops (bar {bar_s} s), "
                  f"{took / first_s:.2f} times the first")  # fmt: skip
        for name, script, options, layers in GROWING:
            if args.only not in name:
                continue
            given = (*options, "--layers", str(args.layers or layers))
            small, large, again = (world_cpu_s(warm, script, given, n) for n in (1024, 16384, 1024))
            ratio, control = large / small, again / small
            print(f"{name}, 1,024 to 16,384 ranks: {small:.1f} to {large:.1f} s, ratio {ratio:.2f} "
                  f"(1,024 again: {control:.2f}; bar 1.2)")  # fmt: skip


if __name__ == "__main__":
    main()
