"""Processor time of one layout: cold, warm, and 16,384 ranks beside 1,024.

    python benchmarks/layouts.py

Cold is a fresh process with no plan on disk; warm another layout of the same model; a third
figure is a layout whose pieces are all known. Ratios are medians of turns taken one by one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

COLD = """
import time
start = time.process_time()
from suiren.fleet.layout import Layout
from suiren.fleet.models import find_model
from suiren.fleet.step import train_step
from suiren.hw.find_cluster import cluster_of
layout = Layout(global_batch=1536, tp=8, pp=16, dp=8, precision="fp16", recompute="full")
train_step(find_model("gpt3-175b"), layout, cluster_of("dgx-a100*128"))
print(time.process_time() - start)
"""


def cold_s() -> float:
    """A layout in a fresh process, imports included, with an empty cache folder."""
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, "-c", COLD], capture_output=True, text=True, check=True,
            env={**os.environ, "XDG_CACHE_HOME": folder},
        )  # fmt: skip
    return float(ran.stdout)


def main() -> None:
    """Measures and prints one line each."""
    from suiren.fleet.layout import Layout
    from suiren.fleet.models import find_model
    from suiren.fleet.pipeline import _total_ps
    from suiren.fleet.step import train_step
    from suiren.hw.find_cluster import cluster_of

    print(f"cold, GPT-3 175B on 1,024 cards: {statistics.median(cold_s() for _ in range(3)):.2f} s")
    model = find_model("gpt3-175b")
    small, large = cluster_of("dgx-a100*128"), cluster_of("dgx-a100*2048")
    first = Layout(global_batch=1536, tp=8, pp=16, dp=8, precision="fp16", recompute="full")
    train_step(model, first, small)
    start = time.process_time()
    train_step(model, replace(first, pp=8, dp=16, micro_batch=2), small)
    print(f"warm, another micro-batch and pipeline: {time.process_time() - start:.3f} s")
    wide = replace(first, dp=128, global_batch=1536 * 16)
    times: dict[int, list[float]] = {1024: [], 16384: []}
    for _ in range(21):
        for layout, cluster in ((first, small), (wide, large)):
            _total_ps.cache_clear()
            start = time.process_time()
            train_step(model, layout, cluster)
            times[layout.ranks].append(time.process_time() - start)
    low, high = (statistics.median(times[n]) for n in (1024, 16384))
    print(f"pieces known: {1e3 * low:.1f} ms at 1,024 ranks, {1e3 * high:.1f} ms at 16,384, "
          f"ratio {high / low:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
