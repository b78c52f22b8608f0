"""Scripts of the kind people clone run as they are, and the record of them is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from warm_python import alone_python, python

from suiren.trace.program import Kind
from suiren.trace.text import load_program

SCRIPTS = Path(__file__).parent / "scripts"


def run(script: str, *options: object, card: tuple[object, ...] = ()) -> str:
    """The script's output on the card with the given options, or on the host without."""
    path = str(SCRIPTS / script)
    if card:
        done = python("-m", "suiren.cli", "run", path, *card, "--", *options, timeout_s=300)
    else:  # a Python that knows nothing of the card
        done = alone_python(path, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_gpt_in_one_file(tmp_path: Path) -> None:
    trace, answer = tmp_path / "gpt.trace", tmp_path / "gpt.json"
    card = ("--on", "toy", "--quiet", "--save-trace", trace, "--json", answer)
    output = run("gpt_single_file.py", card=card)
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", output)]
    assert len(losses) == 6 and losses[-1] < losses[0] - 0.1
    program = load_program(trace)
    steady = program.distinct[program.steady() or 0]
    ops = [
        (program.calls[what].op, program.contexts[context])
        for kind, what, context, _, _ in steady.events.tolist()
        if kind == Kind.OP
    ]
    seen: dict[str, set[str]] = {}
    for op, context in ops:
        seen.setdefault(context.phase, set()).add(op.split(".")[0].removeprefix("aten::"))
    assert "copy_" in seen["data"]
    assert {"mm", "native_layer_norm"} <= seen["forward"]
    assert {"mm", "native_layer_norm_backward"} <= seen["backward"]
    assert "_fused_adamw_" in seen["optimizer"]
    assert json.loads(answer.read_text())["step_time_s"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_gpt_in_other_formats_and_without_compiling(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPT_DTYPE", dtype)
    monkeypatch.setenv("GPT_COMPILE", "0")
    output = run("gpt_single_file.py", card=("--on", "t21", "--quiet"))
    losses = [float(x) for x in re.findall(r"loss ([\d.]+)", output)]
    assert len(losses) == 6 and losses[-1] < losses[0] - 0.1


def epochs(output: str) -> list[Any]:
    return [float(x) for x in re.findall(r"^epoch \d+ loss ([\d.]+)", output, re.MULTILINE)]


@pytest.mark.parametrize("options", [(), pytest.param(("--gpu", "0"), marks=pytest.mark.slow)])
def test_image_classification_as_on_the_host(options: tuple[str, ...]) -> None:
    small = ("--seed", "1", "--samples", "128", "--workers", "0")
    card = epochs(run("image_main.py", *small, *options, card=("--on", "toy", "--quiet")))
    host = epochs(run("image_main.py", *small))
    assert len(card) == 2
    assert card == pytest.approx(host, rel=2e-3)  # convolutions take TF32 operands
