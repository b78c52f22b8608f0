"""The same layers on the same array in Suiren, SCALE-Sim and ZigZag: cycles and wall time.

python benchmarks/peers.py [--scalesim PYTHON] [--zigzag PYTHON] [--limit 200]

`PYTHON` is the interpreter of an environment that has the peer (`pip install scalesim "numpy<2"
"pandas<3"`; `pip install zigzag-dse six`). A peer without one is left out. The array is
`array128.toml`; a layer's time is that of the call, imports and start of the process left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from statistics import median

from suiren.hw.load import load_card
from suiren.hw.spec import Card
from suiren.mapper.estimate import Shape
from suiren.mapper.tune import tune

HERE = Path(__file__).parent
#: Products, and convolutions of ResNet-18 (one image) as products: name, m, n, k.
LAYERS = (
    ("gemm-512", 512, 512, 512), ("gemm-1024", 1024, 1024, 1024),
    ("resnet18-conv1", 12544, 64, 147), ("resnet18-layer1", 3136, 64, 576),
    ("resnet18-layer2", 784, 128, 1152), ("resnet18-layer3", 196, 256, 2304),
    ("resnet18-layer4", 49, 512, 4608), ("resnet18-fc", 1, 1000, 512),
    ("gemm-2048", 2048, 2048, 2048),
)  # fmt: skip


def suiren(card: Card, repeats: int = 5) -> dict[str, dict[str, float]]:
    """Cycles, and seconds of tuning and simulating each layer: the first time, then the median."""
    found = {}
    for name, m, n, k in LAYERS:
        shape, times = Shape(1, m, n, k, "i8", "i8"), []
        for _ in range(repeats):
            start = time.perf_counter()
            plan = tune(shape, card)
            times.append(time.perf_counter() - start)
        found[name] = {"cycles": round(plan.seconds * card.clock_hz), "seconds": times[0],
                       "again_s": median(times[1:])}  # fmt: skip
    return found


def peer(python: str, script: str, card: Card, limit_s: float) -> dict[str, dict[str, float]]:
    """What a peer finds for each layer until its time is up."""
    side = card.chip.tile_mnk[0]
    machine = {"rows": side, "cols": side, "scratchpad_bytes": int(card.chip.scratchpad_bytes),
               "bytes_per_cycle": round(card.memory_bytes_per_s / card.clock_hz)}  # fmt: skip
    layers = [dict(zip(("name", "m", "n", "k"), layer, strict=True)) for layer in LAYERS]
    given = json.dumps({"machine": machine, "layers": layers})
    try:
        out = subprocess.run([python, str(HERE / script)], input=given, capture_output=True,
                             text=True, timeout=limit_s, check=False)  # fmt: skip
        text, trouble = out.stdout, out.stderr
    except subprocess.TimeoutExpired as ended:
        text, trouble = (ended.stdout or b"").decode(), f"stopped after {limit_s:g} s"
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    if len(found) < len(LAYERS):
        print(json.dumps({"peer": script, "layers": len(found), "then": trouble.strip()[-300:]}))
    return {one.pop("name"): one for one in found}


def main() -> None:
    """Prints a line of JSON for each layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scalesim", metavar="PYTHON")
    parser.add_argument("--zigzag", metavar="PYTHON")
    parser.add_argument("--limit", type=float, default=200.0, help="seconds for each peer")
    options = parser.parse_args()
    card = load_card(HERE / "array128.toml")
    ours = suiren(card)
    given = {"scalesim": options.scalesim, "zigzag": options.zigzag}
    theirs = {name: peer(python, f"peer_{name}.py", card, options.limit)
              for name, python in given.items() if python}  # fmt: skip
    for name, m, n, k in LAYERS:
        mine = ours[name]
        line: dict[str, object] = {
            "layer": name, "mnk": [m, n, k], "ideal_cycles": round(m * n * k / 128**2),
            "suiren_cycles": mine["cycles"], "suiren_ms": round(1e3 * mine["seconds"], 2),
        }  # fmt: skip
        for other, found in theirs.items():
            if name in found:
                one = found[name]
                line |= {f"{other}_cycles": one["cycles"], f"{other}_s": round(one["seconds"], 2),
                         f"{other}_peak_mib": one["peak_mib"],
                         f"{other}_times": round(one["seconds"] / mine["seconds"])}  # fmt: skip
        print(json.dumps(line))
    for other, found in theirs.items():
        shared = [one["seconds"] / ours[name]["seconds"] for name, one in found.items()]
        if shared:
            print(json.dumps({"peer": other, "layers": len(shared),
                              "median_times": round(median(shared)),
                              "least_times": round(min(shared))}))  # fmt: skip


if __name__ == "__main__":
    main()
