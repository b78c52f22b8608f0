"""Many layouts at once: 10,000 of GPT-3 175B on 1,024 A100 beside one by one, and a whole space.

    python benchmarks/many_layouts.py            # 10,000 layouts: cold, warm, one by one
    python benchmarks/many_layouts.py --space    # the whole space, block by block

Cold is a fresh process: with no plan on disk, and with those that an earlier run left. Warm are
10,000 other layouts of the same space. Processor time decides where other work shares the machine;
the ratio to `train_step` is taken on the same layouts in the same process.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from suiren.fleet.layouts import Layouts, blocks, space
from suiren.fleet.many import steps_of
from suiren.fleet.models import find_model
from suiren.fleet.step import train_step
from suiren.hw.find_cluster import cluster_of

MODEL, CLUSTER = find_model("gpt3-175b"), cluster_of("dgx-a100*128")
COUNT = 10_000
SPACE = {"global_batch": 1536, "precision": "bf16"}
#: Layouts of 10,000: micro-batches that somebody would take.
CHOICES = SPACE | {"micro_batch": (1, 2, 3, 4, 6, 8)}
#: The whole space: eight batches, every divisor as micro-batch, context parallelism, two formats,
#: the optimizer on the card or on the host. Larger than Calculon's of the same job (11,698,528).
WHOLE = SPACE | {
    "global_batch": (512, 768, 1024, 1536, 2048, 3072, 4096, 6144), "cp": (1, 2, 4, 8),
    "precision": ("fp16", "bf16"), "offload": ("none", "optimizer"),
}  # fmt: skip
BLOCK_ROWS = 1 << 17


def some(seed: int) -> Layouts:
    """Layouts drawn from the space under a seed."""
    rows = space(MODEL, 1024, **CHOICES)
    return rows.select(np.random.default_rng(seed).choice(len(rows), COUNT, replace=False))


def cold(folder: str) -> str:
    """Processor seconds of the first 10,000 in a fresh process, imports not counted."""
    environment = {**os.environ, "XDG_CACHE_HOME": folder}
    ran = subprocess.run([sys.executable, __file__, "--cold"], capture_output=True, text=True,
                         check=True, env=environment)  # fmt: skip
    return ran.stdout.strip()


def timed(rows: Layouts) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    steps_of(MODEL, rows, CLUSTER)
    return time.perf_counter() - wall, time.process_time() - processor


def ten_thousand() -> None:
    """Cold, warm, one by one."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"cold, no plan on disk: {cold(folder)}")
        print(f"cold, plans on disk: {cold(folder)}")
    steps_of(MODEL, some(0), CLUSTER)
    for seed in (1, 2, 3):
        wall_s, processor_s = timed(some(seed))
        print(f"warm, {COUNT} other layouts: {processor_s:.2f} s of processor, {wall_s:.2f} s, "
              f"{COUNT / processor_s:,.0f} layouts a second")  # fmt: skip
    rows = some(4)
    start = time.process_time()
    for row in range(300):
        train_step(MODEL, rows[row], CLUSTER)
    single_s = (time.process_time() - start) / 300
    _, many_s = timed(rows)
    print(f"one by one: {1e3 * single_s:.2f} ms a layout; together {1e6 * many_s / COUNT:.0f} µs, "
          f"{single_s * COUNT / many_s:.0f} times faster")  # fmt: skip
    everything = space(MODEL, 1024, **CHOICES)
    wall_s, processor_s = timed(everything)
    print(f"all {len(everything):,} of them: {processor_s:.2f} s of processor, {wall_s:.2f} s, "
          f"{len(everything) / processor_s:,.0f} layouts a second")  # fmt: skip


def in_blocks() -> Iterator[Layouts]:
    """The whole space, splits of the ranks joined to blocks of bounded size."""
    held: list[Layouts] = []
    for block in blocks(MODEL, 1024, **WHOLE):
        held.append(block)
        if sum(map(len, held)) >= BLOCK_ROWS:
            yield Layouts.joined(held)
            held = []
    if held:
        yield Layouts.joined(held)


def front(sample_s: np.ndarray, memory_bytes: np.ndarray) -> np.ndarray:
    """Rows that no other row beats in both."""
    order = np.lexsort((memory_bytes, sample_s))
    least = np.minimum.accumulate(memory_bytes[order])
    first = np.concatenate([[True], memory_bytes[order][1:] < least[:-1]])
    return order[first]


def whole_space() -> None:
    """Every layout once; the best that fits and the front of time a sample and memory are kept."""
    wall, processor = time.perf_counter(), time.process_time()
    rows = fits = 0
    kept = Layouts.of([])
    step_s, memory_bytes = np.empty(0), np.empty(0)
    for block in in_blocks():
        many = steps_of(MODEL, block, CLUSTER)
        rows += len(block)
        fits += int((many.memory_bytes <= CLUSTER.card.memory_bytes).sum())
        step_s = np.concatenate([step_s, many.step_s])
        memory_bytes = np.concatenate([memory_bytes, many.memory_bytes])
        kept = Layouts.joined([kept, block])
        best = front(step_s / kept.global_batch, memory_bytes)
        kept, step_s, memory_bytes = kept.select(best), step_s[best], memory_bytes[best]
        print(f"{rows:>10,} layouts, {time.process_time() - processor:7.1f} s of processor, "
              f"{time.perf_counter() - wall:7.1f} s", flush=True)  # fmt: skip
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    sample_s = step_s / kept.global_batch
    best_row = int(np.argmin(np.where(memory_bytes <= CLUSTER.card.memory_bytes, sample_s, np.inf)))
    print(f"{rows:,} layouts, {fits:,} fit, {len(kept)} on the front, peak memory "
          f"{peak_gib:.2f} GiB\nbest: {step_s[best_row]:.3f} s, "
          f"{memory_bytes[best_row] / 2**30:.1f} GiB, {kept[best_row]}")  # fmt: skip


if __name__ == "__main__":
    if "--cold" in sys.argv:
        drawn = some(0)
        print(f"{timed(drawn)[1]:.2f} s of processor")
    elif "--space" in sys.argv:
        whole_space()
    else:
        ten_thousand()
