"""How fast collectives are timed: cold on one node and on 16,384 ranks, warm, and together.

python benchmarks/collectives.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from suiren.fleet.collective import COLLECTIVES, time_collective
from suiren.fleet.contention import time_together
from suiren.fleet.place import Place
from suiren.hw.find_cluster import cluster_of

ROUNDS = 7
NAMES = ("t21x8", "dgx-a100", "mi300x-x8", "hgx-h100*128", "hgx-h100*2048", "t21x8*1024",
         "tpu-v5p-pod")  # fmt: skip


def seconds_of(work: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def cold(name: str) -> dict[str, float]:
    """Milliseconds of the first call of each op on a cluster nobody asked about, median."""
    found: dict[str, float] = {}
    known = cluster_of(name)
    for op in COLLECTIVES:
        times = []
        for turn in range(ROUNDS):
            cluster = replace(known, name=f"{name} {op} {turn}")
            cards = tuple(range(cluster.cards_per_node))
            place = Place(1, (0, 1)) if op == "send" else Place(cluster.num_nodes, cards)
            times.append(seconds_of(lambda c=cluster, p=place, o=op: time_collective(c, o, 1e8, p)))
        found[op] = 1e3 * median(times)
    return found


def warm_us() -> float:
    """Microseconds of a call that was asked before."""
    cluster, place = cluster_of("t21x8"), Place(1, tuple(range(8)))
    time_collective(cluster, "all_reduce", 1e8, place)
    many = 20_000
    took = seconds_of(
        lambda: [time_collective(cluster, "all_reduce", 1e8, place) for _ in range(many)]
    )
    return 1e6 * took / many


def together_ms() -> float:
    """Milliseconds of eight collectives that overlap on 16 nodes."""
    cluster = cluster_of("hgx-h100*16")
    asked = [("all_gather", 1e8 * (1 + i), Place(16, (i,), siblings=1), 1e-4 * i) for i in range(8)]
    return 1e3 * median([seconds_of(lambda: time_together(cluster, asked)) for _ in range(ROUNDS)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="write what was found to this file")
    options = parser.parse_args()
    found: dict[str, object] = {name: cold(name) for name in NAMES}
    for name in NAMES:
        times = found[name]
        assert isinstance(times, dict)
        worst = max(times, key=lambda op: times[op])
        print(f"{name:16} cold {median(times.values()):6.2f} ms, "
              f"slowest {worst} {times[worst]:.2f} ms")  # fmt: skip
    found["warm_us"], found["together_ms"] = warm_us(), together_ms()
    print(f"warm {found['warm_us']:.2f} µs; eight that overlap {found['together_ms']:.1f} ms")
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
