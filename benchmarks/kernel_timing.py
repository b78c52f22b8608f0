"""How fast kernels are timed: one candidate, a cold tuning, a table of measurements, a replay.

python benchmarks/kernel_timing.py [GEMM.csv.gz] [--parts candidate tuning table replay] [--profile]

`GEMM.csv.gz` is a table that `suiren validate` reads; without one, rows of the same kind are
made up. Nothing is looked up on disk.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import random
import resource
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from suiren.hw.load import resolve_card
from suiren.mapper import product
from suiren.mapper import tune as tuning
from suiren.mapper.candidate import Shape
from suiren.truth.rows import Row, read_rows, sample
from suiren.truth.run import run

CARDS = ("h100", "a100", "t21")
#: (batch, m, n, k): square, thin, long, uneven and batched products.
SHAPES = (
    (1, 512, 512, 512), (1, 1024, 1024, 1024), (1, 4096, 4096, 4096), (1, 8192, 8192, 512),
    (1, 64, 4096, 4096), (1, 1, 4096, 4096), (1, 16, 28672, 4096), (1, 2048, 14336, 4096),
    (1, 8192, 1024, 4096), (1, 128, 128, 65536), (1, 333, 1000, 777), (1, 3000, 5000, 200),
    (32, 512, 512, 64), (96, 1024, 64, 1024),
)  # fmt: skip
#: Candidates of a shape that are timed, the likeliest first.
EACH = 10
TABLE_ROWS = 35_000


def share(values: list[float], part: float) -> float:
    """The value below which `part` of the values lie."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def candidate_times(name: str, rounds: int = 5) -> tuple[list[float], list[float]]:
    """Seconds of each candidate, the least of some rounds: simulated alone, and traced too."""
    card = resolve_card(name)
    alone: list[float] = []
    plain, spent = product.time_program, [0.0]

    def timed(*args):
        start = time.perf_counter()
        found = plain(*args)
        spent[0] = time.perf_counter() - start
        return found

    product.time_program = timed
    both: list[float] = []
    for sizes in SHAPES:
        shape = Shape(*sizes, "bf16", "bf16")
        for candidate in tuning.candidates(shape, card)[:EACH]:
            found = []
            for _ in range(rounds):
                product._program.cache_clear()
                start = time.perf_counter()
                tuning.simulate(shape, card, candidate)
                found.append((time.perf_counter() - start, spent[0]))
            both.append(min(whole for whole, _ in found))
            alone.append(min(part for _, part in found))
    product.time_program = plain
    return alone, both


def candidate() -> None:
    """Time of one candidate of a product."""
    for name in CARDS:
        alone, both = candidate_times(name)
        tell("candidate", card=name, shapes=len(SHAPES), candidates=len(both),
             simulated_us=micro(median(alone)), traced_and_simulated_us=micro(median(both)),
             p90_us=micro(share(both, 0.9)))  # fmt: skip


def new_shapes(count: int, seed: int = 1) -> list[Shape]:
    """Shapes that no other part of this program has tuned."""
    draw = random.Random(seed)
    return [
        Shape(1, draw.randrange(1, 8193), 8 * draw.randrange(16, 2049),
              8 * draw.randrange(16, 2049), "bf16", "bf16")
        for _ in range(count)
    ]  # fmt: skip


def tune() -> None:
    """Processor time to tune a product of a new shape."""
    for name in CARDS:
        card = resolve_card(name)
        times, tried = [], []
        for shape in new_shapes(50):
            start = time.process_time()
            tried.append(tuning.tune(shape, card).tried)
            times.append(time.process_time() - start)
        tell("tuning", card=name, shapes=len(times), median_ms=milli(median(times)),
             p90_ms=milli(share(times, 0.9)), weighed_median=median(tried))  # fmt: skip


def made_up_rows(count: int, seed: int = 2) -> list[Row]:
    """GEMM rows as a serving library's table has them: any number of tokens, a model's sizes."""
    draw = random.Random(seed)
    hardware = ("NVIDIA H100 SXM", "NVIDIA A100-SXM4-80GB", "NVIDIA L40S", "NVIDIA H200")
    sides = (512, 1024, 2048, 3584, 4096, 5120, 7168, 8192, 14336, 28672)
    rows = []
    for number in range(count):
        sizes = {"M": str(2 ** draw.randrange(15) + draw.randrange(2)),
                 "N": str(draw.choice(sides)), "K": str(draw.choice(sides))}  # fmt: skip
        text = ",".join(f"{k}={v}" for k, v in sizes.items())
        rows.append(Row(f"made-{number}", draw.choice(hardware), "gemm", sizes, "bfloat16", 1e-3,
                        "ms", "aiconfigurator", "TensorRT-LLM", "", number, text))  # fmt: skip
    return rows


def table(path: str | None, count: int = 512, processes: int = 2) -> None:
    """Rows of a table predicted in a second."""
    rows = sample(read_rows(path), count) if path else made_up_rows(count)
    start, before = time.perf_counter(), worked_s()
    found = run(rows, None, processes)
    seconds, worked = time.perf_counter() - start, worked_s() - before
    scale = TABLE_ROWS / len(rows) / 60
    tell("table", rows=len(rows), predicted=sum(p.seconds is not None for p in found),
         source="given table" if path else "made up", processes=processes,
         rows_per_s=round(len(rows) / seconds, 1), cpu_ms_a_row=milli(worked / len(rows)),
         minutes_of_35000_rows=round(scale * seconds, 1),
         minutes_with_processors_free=round(scale * worked / processes, 1))  # fmt: skip


def worked_s() -> float:
    """Processor seconds of this process and those it waited for."""
    return sum(
        use.ru_utime + use.ru_stime
        for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def captured():
    """A training step of a Llama of 8 billion parameters, recorded without numerics."""
    import torch
    from capture import SIZES
    from transformers import LlamaConfig, LlamaForCausalLM

    from suiren.torch.how import UNLIMITED_BYTES
    from suiren.torch.session import Session

    session = Session(resolve_card("h200"))
    session.begin(numerics=False, memory_bytes=UNLIMITED_BYTES)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("gcu"):
        model = LlamaForCausalLM(LlamaConfig(**SIZES["8b"], attn_implementation="sdpa"))
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    ids = torch.zeros((1, 4096), dtype=torch.long, device="gcu")
    for _ in range(3):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return session.program()


def replay(rounds: int = 30) -> None:
    """Ops priced and queued in a second when every distinct call is known."""
    from suiren.mapper.step import Clock, Prices

    program = captured()
    key = program.order[-1]
    step = program.distinct[key]
    prices = Prices(program.calls, resolve_card("h200"))
    start = time.perf_counter()
    Clock(prices).run(key, step)
    first = time.perf_counter() - start
    times = []
    for _ in range(rounds):
        clock = Clock(prices)
        start = time.perf_counter()
        clock.run(key, step)
        times.append(time.perf_counter() - start)
    tell("replay", card="h200", ops=step.num_ops, first_s=round(first, 3),
         warm_s=round(median(times), 5), ops_per_s=round(step.num_ops / median(times)))  # fmt: skip


def micro(seconds: float) -> int:
    """Whole microseconds."""
    return round(seconds * 1e6)


def milli(seconds: float) -> float:
    """Milliseconds with one decimal."""
    return round(seconds * 1e3, 1)


def tell(part: str, **found: object) -> None:
    """Prints a line of JSON."""
    print(json.dumps({"part": part, **found}), flush=True)


def profiled(part: Callable[[], None]) -> None:
    """Runs a part and prints where its time went, functions by their own time."""
    profile = cProfile.Profile()
    profile.runcall(part)
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(14)


def main() -> None:
    """Prints a line of JSON for each part and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", nargs="?")
    names = ("candidate", "tuning", "table", "replay")
    parser.add_argument("--parts", nargs="+", choices=names, default=list(names))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    # a profile sees one process
    processes = 1 if options.profile else 2
    parts: dict[str, Callable[[], None]] = {
        "candidate": candidate, "tuning": tune,
        "table": lambda: table(options.table, processes=processes), "replay": replay,
    }  # fmt: skip
    for name in options.parts:
        profiled(parts[name]) if options.profile else parts[name]()


if __name__ == "__main__":
    main()
