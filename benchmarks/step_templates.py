"""Writes data/steps: one training step of known models, its calls as functions of the batch.

Each model is traced without numerics at three batches. A size that differs is a multiple of the
batch plus a constant; the third batch must agree, or nothing is written. What a script issues
after it waited for the backward pass is marked: its host cannot run ahead of the card there.

    python benchmarks/step_templates.py [NAME ...]
"""

from __future__ import annotations

import collections
import gzip
import json
import re
import sys

from traced_models import BATCHES, NAMES, ROOT, traced, train

FOLDER = ROOT / "data" / "steps"
_INT = re.compile(r"-?\d+")


def trace(name: str, batch: int) -> None:
    """Prints the steady step of one model and batch as JSON; runs in a process of its own."""
    from suiren.mapper.memory import memory_use
    from suiren.trace.program import Kind

    program, params = train(name, batch, steps=4, set_to_none=True)
    step = program.distinct[next(k for k in reversed(program.order) if program.distinct[k].num_ops)]
    waits = waited(program, step)
    counts = collections.Counter(
        (index > waits, event["what"].item())
        for index, event in enumerate(step.events) if event["kind"] == Kind.OP
    )  # fmt: skip
    print(json.dumps({
        # a number that the host got is no tensor, known or not
        "calls": [[f"{'+' * late}{n}", str(program.calls[c]).replace("->(~)", "->()")]
                  for (late, c), n in counts.items()],
        "ops": step.num_ops, "params": params,
        "peak_bytes": memory_use(program, step).peak_bytes,
    }))  # fmt: skip


def waited(program, step) -> int:
    """Index of the last event after the backward pass began where the host waits for the card."""
    from suiren.trace.program import Kind

    found, backward = len(step.events), False
    for index, (kind, _, context, _, _) in enumerate(step.events.tolist()):
        backward |= kind == Kind.OP and program.contexts[context].phase == "backward"
        if kind == Kind.SYNC and backward:
            found = index
    return found


def affine(values: tuple[int, ...]) -> str | None:
    """A number at the three batches as text: `7`, `{3}` for 3 × batch, `{3+5}`; None if neither."""
    if len(set(values)) == 1:
        return str(values[0])
    slope, odd = divmod(values[1] - values[0], BATCHES[1] - BATCHES[0])
    rest = values[0] - slope * BATCHES[0]
    if odd or values[2] != slope * BATCHES[2] + rest:
        return None
    return f"{{{slope}{rest:+d}}}" if rest else f"{{{slope}}}"


def joined(lines: tuple[str, ...]) -> str | None:
    """Three texts that differ in numbers alone as one; None if they differ in more."""
    shapes = {_INT.sub("#", line) for line in lines}
    if len(shapes) > 1:
        return None
    numbers = zip(*([int(n) for n in _INT.findall(line)] for line in lines), strict=True)
    parts = [affine(values) for values in numbers]
    if None in parts:
        return None
    it = iter(parts)
    return _INT.sub(lambda _: str(next(it)), lines[0])


def write(name: str) -> str:
    """Traces a model at all batches and writes its file; says what became of it."""
    found = traced(__file__, name)
    if isinstance(found, str):
        return found
    calls = [one["calls"] for one in found]
    if len({len(c) for c in calls}) > 1:
        return f"the batches differ in their number of distinct calls: {[len(c) for c in calls]}"
    lines = []
    for same in zip(*calls, strict=True):
        text = joined(tuple(line for _, line in same))
        if text is None or len({n for n, _ in same}) > 1:
            return f"not linear in the batch: {same}"
        lines.append(f"{same[0][0]}\t{text}")
    peaks = [one["peak_bytes"] for one in found]
    slope = (peaks[2] - peaks[0]) / (BATCHES[2] - BATCHES[0])
    head = {"name": name, "params": found[0]["params"], "ops": found[0]["ops"],
            "peak_fixed_bytes": round(peaks[0] - slope * BATCHES[0]),
            "peak_sample_bytes": round(slope)}  # fmt: skip
    text = "\n".join([json.dumps(head), *lines]) + "\n"
    with gzip.GzipFile(FOLDER / f"{name}.txt.gz", "wb", mtime=0) as file:
        file.write(text.encode())
    return f"{len(lines)} distinct calls, {head['ops']} ops"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trace"]:
        trace(sys.argv[2], int(sys.argv[3]))
    else:
        for one in sys.argv[1:] or NAMES:
            print(f"{one}: {write(one)}", flush=True)
