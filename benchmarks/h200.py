"""Predictions first, then measurements on a real NVIDIA GPU, then both side by side.

python benchmarks/h200.py --dry                     predictions only; needs no GPU
python benchmarks/h200.py [--predictions FILE]      on the GPU, with CUDA PyTorch

Writes `predictions.csv`, `kernels.csv`, `steps.csv` and `conditions.json` to data/measured/h200;
`suiren validate` reads both tables. Predictions are made in a process of their own and written
before anything is measured; where Suiren is not installed beside CUDA PyTorch, they are made
elsewhere with `--dry` and given with `--predictions`. A kernel is repeated with its operands in
the shared level, as `suiren/truth/protocol.py` takes "one kernel repeated".
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).resolve().parent.parent / "data" / "measured" / "h200"
SOURCE = "benchmarks/h200.py"
#: Calls between two events, and how often that is measured.
CALLS, SAMPLES = 12, 30
GEMMS = (
    (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 4096),
    (8192, 8192, 8192), (16, 4096, 4096), (64, 14336, 4096), (256, 4096, 14336),
    (4096, 14336, 4096), (4096, 1024, 4096), (8192, 512, 8192), (333, 1000, 776),
)  # fmt: skip
ATTENTIONS = ((1, 32, 2048, 128), (1, 32, 8192, 128), (8, 12, 1024, 64), (4, 16, 4096, 64))
ROWS = ((4096, 1024), (4096, 4096), (16384, 4096), (8192, 16384))
OF_ROWS = ("add", "gelu", "softmax", "layer_norm")
#: Name -> (kind of transformers' model, sizes, sequences, tokens).
STEPS = {
    "gpt2-small": ("gpt2", {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}, 8, 1024),
    "llama-small": ("llama", {"hidden_size": 1024, "intermediate_size": 2816,
                              "num_hidden_layers": 12, "num_attention_heads": 16,
                              "num_key_value_heads": 4, "vocab_size": 32000}, 4, 2048),
}  # fmt: skip


def cases() -> list[dict[str, str]]:
    """Every kernel to be measured, by the columns of a table of measurements."""
    found = [("gemm", f"M={m},N={n},K={k}", dtype) for dtype in ("bfloat16", "fp8")
             for m, n, k in GEMMS]  # fmt: skip
    found += [("sdpa_causal", f"B={b},H={h},S={s},D={d}", "bfloat16") for b, h, s, d in ATTENTIONS]
    found += [(op, f"R={r},C={c}", "bfloat16") for op in OF_ROWS for r, c in ROWS]
    return [{"id": f"h200-{n}", "op": op, "shape": shape, "dtype": dtype}
            for n, (op, shape, dtype) in enumerate(found, 1)]  # fmt: skip


def sizes(case: dict[str, str]) -> list[int]:
    """The sizes of a case in their order."""
    return [int(part.partition("=")[2]) for part in case["shape"].split(",")]


def kernel(case: dict[str, str], device: str) -> Callable[[], object]:
    """The call of a case, its operands made."""
    import torch
    from torch.nn import functional

    def tensor(*shape: int):
        return torch.randn(shape, device=device, dtype=torch.bfloat16)

    given = sizes(case)
    if case["op"] == "sdpa_causal":
        q, k, v = (tensor(*given) for _ in range(3))
        return lambda: functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    if case["op"] != "gemm":
        x, y = tensor(*given), tensor(*given)
        weight, bias = tensor(given[1]), tensor(given[1])
        return {
            "add": lambda: x + y, "gelu": lambda: functional.gelu(x),
            "softmax": lambda: torch.softmax(x, -1),
            "layer_norm": lambda: functional.layer_norm(x, (given[1],), weight, bias),
        }[case["op"]]  # fmt: skip
    m, n, k = given
    if case["dtype"] == "bfloat16":
        a, b = tensor(m, k), tensor(k, n)
        return lambda: a @ b
    eight = torch.float8_e4m3fn
    a, b = tensor(m, k).to(eight), tensor(n, k).to(eight).t()
    one = torch.ones((), device=device)
    return lambda: torch._scaled_mm(a, b, one, one, out_dtype=torch.bfloat16)


def training(name: str, device: str) -> Callable[[], None]:
    """One training step of a model in bf16 with fused AdamW."""
    import torch
    import transformers

    kind, given, batch, tokens = STEPS[name]
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    config, model = {"gpt2": ("GPT2Config", "GPT2LMHeadModel"),
                     "llama": ("LlamaConfig", "LlamaForCausalLM")}[kind]  # fmt: skip
    made = getattr(transformers, config)(**given, attn_implementation="sdpa")
    with torch.device(device):
        net = getattr(transformers, model)(made)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    ids = torch.randint(0, made.vocab_size, (batch, tokens)).to(device)
    torch.set_default_dtype(torch.float32)

    def step() -> None:
        net(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


# ---- predictions


def predicted_kernels(on: str) -> dict[str, float]:
    """Seconds of every case: products by their table's rule, others as recorded ops."""
    from suiren.hw.load import resolve_card
    from suiren.mapper.price import price
    from suiren.torch.how import UNLIMITED_BYTES
    from suiren.torch.session import Session
    from suiren.trace.program import Kind
    from suiren.truth.predict import predict
    from suiren.truth.rows import Row

    card = resolve_card(on)
    session = Session(card)
    session.begin(numerics=False, memory_bytes=UNLIMITED_BYTES)
    found = {}
    for case in cases():
        if case["op"] == "gemm":
            shape = dict(part.split("=") for part in case["shape"].split(","))
            row = Row(case["id"], on, "gemm", shape, case["dtype"], None, "s", SOURCE, "", "", 0,
                      case["shape"])  # fmt: skip
            seconds = predict(row, on).seconds
            if seconds is not None:
                found[case["id"]] = seconds
            continue
        call = kernel(case, "gcu")
        before = len(recorded(session))
        call()
        rows = recorded(session)[before:]
        calls = session.program().calls
        found[case["id"]] = sum(price(calls[r[1]], card).total_s for r in rows if r[0] == Kind.OP)
    return found


def recorded(session) -> list:
    """Events since the last step."""
    rest = session.program().rest
    return rest.events.tolist() if rest is not None else []


def predicted_step(name: str, on: str) -> float:
    """Seconds of a step in its steady state, under the card's power limit."""
    from suiren.hw.load import resolve_card
    from suiren.mapper.step import Prices, steady_step, under_the_limit
    from suiren.torch.how import UNLIMITED_BYTES
    from suiren.torch.session import Session
    from suiren.units import PS_PER_S

    card = resolve_card(on)
    session = Session(card)
    session.begin(numerics=False, memory_bytes=UNLIMITED_BYTES)
    step = training(name, "gcu")
    for _ in range(3):
        step()
    program = session.program()
    key = program.order[-1]
    prices = under_the_limit(program, Prices(program.calls, card), key)
    return steady_step(program, prices, key).period_ps / PS_PER_S


def write_predictions(folder: Path, on: str) -> None:
    """`predictions.csv`: id and seconds. Every step is recorded in a process of its own."""
    found = predicted_kernels(on)
    for name in STEPS:
        command = [sys.executable, __file__, "--step", name, "--on", on]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
        found[name] = float(out.stdout.split()[-1])
    write(folder / "predictions.csv",
          [{"id": k, "on": on, "predicted_s": f"{s:.9g}"} for k, s in found.items()])  # fmt: skip


# ---- measurements


def measured(call: Callable[[], object]) -> tuple[float, str]:
    """Median seconds of one of `CALLS` calls in a row, and how they were issued."""
    import torch

    for _ in range(20):
        call()
    torch.cuda.synchronize()
    run, how = repeated(call)
    times = []
    for _ in range(SAMPLES):
        time.sleep(0.05)  # so that no power limit acts
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        run()  # wakes the clock and fills the shared level
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / CALLS)
    return median(times), how


def repeated(call: Callable[[], object]) -> tuple[Callable[[], object], str]:
    """`CALLS` calls in a row: a CUDA graph, or one after the other where none can be made."""
    import torch

    def in_turn() -> None:
        for _ in range(CALLS):
            call()

    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            in_turn()
    except RuntimeError:
        torch.cuda.synchronize()
        return in_turn, f"{CALLS} eager calls"
    return graph.replay, f"CUDA graph of {CALLS} calls"


def measured_step(name: str) -> float:
    """Median seconds from one step's end to the next one's, nothing waited for in between."""
    import torch

    step = training(name, "cuda")
    for _ in range(10):
        step()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(SAMPLES + 1)]
    for event in events:
        event.record()
        step()
    torch.cuda.synchronize()
    return median(a.elapsed_time(b) / 1e3 for a, b in pairwise(events))


def measure(folder: Path) -> dict[str, float]:
    """Measures everything and writes the tables; what fails is told and left out."""
    import torch

    hardware = torch.cuda.get_device_name()
    write_conditions(folder / "conditions.json", hardware)
    kernels, steps, found = [], [], {}
    version = f"PyTorch {torch.__version__}"
    for case in cases():
        try:
            found[case["id"]], how = measured(kernel(case, "cuda"))
        except (RuntimeError, AttributeError) as problem:
            print(json.dumps({"left_out": case, "why": str(problem)[:200]}))
            continue
        kernels.append({**case, "source": SOURCE, "hardware": hardware, "unit": "s",
                        "measured_metric": "latency", "split": "check",
                        "measured_value": f"{found[case['id']]:.9g}",
                        "notes": f"{version}; {how}"})  # fmt: skip
        torch.cuda.empty_cache()
    for name, (_, _, batch, tokens) in STEPS.items():
        found[name] = measured_step(name)
        steps.append({"id": name, "source": SOURCE, "framework": version,
                      "hardware": hardware, "n_devices": 1, "model": name, "precision": "bf16",
                      "micro_batch": batch, "seq_len": tokens, "step_time_s": f"{found[name]:.9g}",
                      "step_time_basis": "CUDA events, median", "split": "check"})  # fmt: skip
    write(folder / "kernels.csv", kernels)
    write(folder / "steps.csv", steps)
    return found


def write_conditions(path: Path, hardware: str) -> None:
    """Clocks, power limit, driver and versions."""
    import torch

    asked = ("name,driver_version,clocks.sm,clocks.max.sm,clocks.mem,power.limit,temperature.gpu,"
             "persistence_mode")  # fmt: skip
    out = subprocess.run(["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    told = (part.strip() for part in out.stdout.splitlines()[0].split(",")) if out.stdout else ()
    path.write_text(json.dumps({
        "hardware": hardware, "torch": torch.__version__, "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "nvidia_smi": dict(zip(asked.split(","), told, strict=False)),
        "protocol": f"median of {SAMPLES}, {CALLS} calls each, operands warm in L2",
    }, indent=1) + "\n")  # fmt: skip


def write(path: Path, rows: list[dict]) -> None:
    """A table with the columns of its first row."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["id"])
        writer.writeheader()
        writer.writerows(rows)


def compare(predicted: dict[str, float], found: dict[str, float]) -> None:
    """A line of JSON for each case, and the errors of all."""
    told = {c["id"]: f"{c['op']} {c['shape']} {c['dtype']}" for c in cases()}
    errors = []
    for name, seconds in predicted.items():
        line: dict[str, object] = {"case": told.get(name, name),
                                   "predicted_us": round(seconds * 1e6, 2)}  # fmt: skip
        if name in found:
            errors.append(seconds / found[name] - 1)
            line |= {"measured_us": round(found[name] * 1e6, 2),
                     "error_percent": round(100 * errors[-1], 1)}  # fmt: skip
        print(json.dumps(line))
    if errors:
        off = {"signed_median_percent": median(errors),
               "mape_percent": sum(map(abs, errors)) / len(errors)}  # fmt: skip
        rounded = {name: round(100 * value, 1) for name, value in off.items()}
        print(json.dumps({"cases": len(errors), **rounded}))


def main() -> None:
    """Predicts, measures, compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="predictions only")
    parser.add_argument("--on", default="h200", help="card of the catalogue")
    parser.add_argument("--predictions", type=Path, help="made before, elsewhere")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(predicted_step(options.step, options.on))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.dry:
        write_predictions(options.out, options.on)
    elif options.predictions is None:
        command = [sys.executable, __file__, "--dry", "--on", options.on, "--out", options.out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    path = options.predictions or options.out / "predictions.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        predicted = {row["id"]: float(row["predicted_s"]) for row in csv.DictReader(stream)}
    compare(predicted, {} if options.dry else measure(options.out))


if __name__ == "__main__":
    main()
