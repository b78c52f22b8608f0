"""What a plan says of a layout's memory, step and energy, and what its script really does.

    python benchmarks/planned_run.py [--only NAME] [--layers N] [--model NAME] [--steps N]

Every case is planned, its `train.py` written and run with `suiren run --ranks` on T20. Planned
memory is without what libraries take for themselves, which no allocator sees. Worst first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from suiren.fleet.layout import Layout
from suiren.fleet.memory import WORKSPACE_BYTES
from suiren.fleet.sharded import ShardedStep
from suiren.plan.configs import find_known
from suiren.plan.launch import launch_of
from suiren.plan.planner import Planner, prepare
from suiren.plan.problem import Machine, Problem

CASES: dict[str, dict[str, Any]] = {
    "dp": {"dp": 4},
    "dp zero1": {"dp": 4, "zero": 1},
    "dp zero1 selective": {"dp": 4, "zero": 1, "recompute": "selective"},
    "dp zero1 full": {"dp": 4, "zero": 1, "recompute": "full", "micro_batch": 4},
    "zero2": {"dp": 4, "zero": 2},
    "zero3": {"dp": 4, "zero": 3},
    "zero3 selective": {"dp": 4, "zero": 3, "recompute": "selective"},
    "zero3 full": {"dp": 4, "zero": 3, "recompute": "full", "micro_batch": 2},
    "tp": {"tp": 4},
    "tp selective": {"tp": 4, "recompute": "selective"},
    "tp sp": {"tp": 4, "sequence_parallel": True},
    "tp sp selective": {"tp": 4, "sequence_parallel": True, "recompute": "selective"},
    "tp sp full": {"tp": 4, "sequence_parallel": True, "recompute": "full"},
    "pp": {"pp": 4},
    "pp selective": {"pp": 4, "recompute": "selective"},
    "pp full": {"pp": 4, "recompute": "full", "micro_batch": 2},
    "gpipe": {"pp": 4, "schedule": "gpipe"},
    "interleaved": {"pp": 4, "vpp": 2, "schedule": "interleaved"},
    "interleaved selective": {"pp": 4, "vpp": 2, "schedule": "interleaved",
                              "recompute": "selective"},
    "zero-bubble": {"pp": 4, "schedule": "zero-bubble"},
    "offload": {"dp": 8, "zero": 1, "offload": "optimizer"},
    "zero3 offload": {"dp": 8, "zero": 3, "offload": "optimizer"},
    "tp2 pp2 dp2": {"tp": 2, "pp": 2, "dp": 2, "zero": 1, "sequence_parallel": True},
}  # fmt: skip


def planned(planner: Planner, layout: Layout) -> tuple[float, float, float]:
    """Bytes at the peak without libraries' own, seconds of a step, joules of all cards."""
    step = planner.step_of(layout, 0)
    memory = step.memory if isinstance(step, ShardedStep) else step.peak_memory
    return memory.total_bytes - float(WORKSPACE_BYTES), step.step_s, step.energy_j


def ran(text: str, ranks: int, steps: int, folder: Path) -> tuple[float, float, float]:
    """The same of a script's run, or where it failed why."""
    script, answer = folder / "train.py", folder / "answer.json"
    script.write_text(text)
    command = [sys.executable, "-m", "suiren.cli", "run", "--on", "t20x8", "--ranks", str(ranks),
               "--no-numerics", "--memory", "unlimited", "--quiet", "--no-history",
               "--json", str(answer), str(script), "--steps", str(steps)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not answer.is_file():
        raise RuntimeError("\n".join(done.stderr.splitlines()[-3:]))
    found = json.loads(answer.read_text())
    return found["peak_memory_bytes"], found["step_time_s"], found["energy_j"]


def main() -> None:
    """Prints a line a case as it comes, then all of them, worst memory first."""
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--only", default="", help="part of a name; `a|b` for several")
    p.add_argument("--model", default="llama3-8b")
    p.add_argument("--layers", type=int, default=8)
    p.add_argument("--seq", type=int, default=4096)
    p.add_argument("--steps", type=int, default=2)
    args = p.parse_args()
    config = dict(find_known(args.model, args.seq).config or {})
    config["num_hidden_layers"] = args.layers
    lines: list[tuple[float, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "config.json"
        file.write_text(json.dumps(config))
        problem = Problem(model=str(file), machines=(Machine(name="t20x8", ranks=8),),
                          global_batch=32, seq=args.seq)  # fmt: skip
        planner = prepare(problem)
        for case, fields in CASES.items():
            if not any(part in case for part in args.only.split("|")):
                continue
            layout = Layout(global_batch=32, precision="bf16", **fields)
            memory, step, joules = planned(planner, layout)
            cluster = problem.machines[0].cluster()
            script = launch_of(planner.model, layout, cluster, planner.known.config).files[
                "train.py"
            ]
            try:
                seen, took, drew = ran(script, layout.ranks, args.steps, folder)
            except RuntimeError as problem_there:
                print(f"{case:22} {problem_there}", flush=True)
                continue
            off = 100 * (memory / seen - 1)
            line = (f"{case:22} memory {memory / 2**30:6.2f} GiB planned, {seen / 2**30:6.2f} ran, "
                    f"{off:+5.1f} %; step {step:6.2f} s planned, {took:6.2f} ran, "
                    f"{100 * (step / took - 1):+5.1f} %; energy {joules / 1e3:6.2f} kJ planned, "
                    f"{drew / 1e3:6.2f} ran, {100 * (joules / drew - 1):+5.1f} %")  # fmt: skip
            print(line, flush=True)
            lines.append((-abs(off), line))
    print("worst first")
    for _, line in sorted(lines):
        print(line)


if __name__ == "__main__":
    main()
