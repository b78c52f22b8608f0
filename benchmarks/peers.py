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
from suiren.mapper.candidate import Candidate, Shape
from suiren.mapper.tune import simulate, tune

HERE = Path(__file__).parent
PARTS = ("first", "search", "one")
#: Products, and convolutions of ResNet-18 (one image) as products: name, m, n, k.
LAYERS = (
    ("gemm-512", 512, 512, 512), ("gemm-1024", 1024, 1024, 1024),
    ("resnet18-conv1", 12544, 64, 147), ("resnet18-layer1", 3136, 64, 576),
    ("resnet18-layer2", 784, 128, 1152), ("resnet18-layer3", 196, 256, 2304),
    ("resnet18-layer4", 49, 512, 4608), ("resnet18-fc", 1, 1000, 512),
    ("gemm-2048", 2048, 2048, 2048),
)  # fmt: skip


def suiren(card: Card, repeats: int = 5) -> dict[str, dict[str, float]]:
    """Cycles and seconds of each layer, nothing remembered of it.

    `search_s`: its tiles are looked for; `first_s`: the first time in this process, when loop
    bodies are compiled too; `one_s`: the chosen tiles are simulated, nothing is looked for.
    """
    found = {}
    for name, m, n, k in LAYERS:
        shape = Shape(1, m, n, k, "i8", "i8")
        searches, ones = [], []
        for _ in range(repeats):
            start = time.perf_counter()
            plan = tune(shape, card)
            searches.append(time.perf_counter() - start)
        chosen = Candidate(plan.offer, plan.splits, 0.0)
        for _ in range(repeats):
            start = time.perf_counter()
            simulate(shape, card, chosen)
            ones.append(time.perf_counter() - start)
        found[name] = {"cycles": round(plan.seconds * card.clock_hz), "first_s": searches[0],
                       "search_s": median(searches[1:]), "one_s": median(ones)}  # fmt: skip
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
            "suiren_cycles": mine["cycles"],
            **{f"suiren_{part}_ms": round(1e3 * mine[f"{part}_s"], 2) for part in PARTS},
        }  # fmt: skip
        for other, found in theirs.items():
            if name in found:
                one = found[name]
                line |= {f"{other}_cycles": one["cycles"], f"{other}_s": round(one["seconds"], 2),
                         f"{other}_peak_mib": one["peak_mib"]}  # fmt: skip
        print(json.dumps(line))
    for other, found in theirs.items():
        times = {part: sorted(one["seconds"] / ours[name][f"{part}_s"]
                              for name, one in found.items()) for part in PARTS}  # fmt: skip
        print(json.dumps({"peer": other, "layers": len(found), "times_as_long_as": {
            part: {"least": round(t[0]), "median": round(median(t)), "most": round(t[-1])}
            for part, t in times.items() if t}}))  # fmt: skip


if __name__ == "__main__":
    main()
