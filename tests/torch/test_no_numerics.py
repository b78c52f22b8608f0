"""Without values: models of any size, the same record as with values, and one policy of answers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from device_helpers import SCRIPTS, answers, cases, functions_of, run_suiren

from suiren.mapper.memory import memory_use
from suiren.trace.program import Kind
from suiren.trace.text import load_program

SCRIPT = "no_numerics_checks.py"
NO_VALUES = ("--no-numerics", "--memory", "unlimited")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What went wrong in each check of the script, which runs once."""
    return answers(SCRIPT, tmp_path_factory.mktemp("no_numerics"), *NO_VALUES)


@pytest.mark.parametrize("check", cases({n: n for n in functions_of(SCRIPT, "check_")}))
def test_a_script_without_values_goes_on(found, check):
    if found[check]:
        pytest.fail(found[check], pytrace=False)


# ---- the same record as with values

MODELS = ("mlp", "cnn", "gpt", "lstm", "amp")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """With and without values: the peaks that were printed and what was recorded."""
    folder = tmp_path_factory.mktemp("models")

    def run(numerics):
        trace = folder / f"{bool(numerics)}.gz"
        options = ["--seed", 1, "--save-trace", trace, *([] if numerics else ["--no-numerics"])]
        ran = run_suiren(SCRIPTS / "model_steps.py", *options, "--", *MODELS)
        assert ran.returncode == 0, ran.stderr
        peaks = [int(line.split()[1]) for line in ran.stdout.splitlines() if line[:4] == "peak"]
        return dict(zip(MODELS, peaks, strict=True)), load_program(trace)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip((True, False), pool.map(run, (True, False)), strict=True))


STEPS = 3


def _steps(program, model):
    """The steps in which that model was trained."""
    assert len(program.order) == STEPS * len(MODELS)
    first = STEPS * MODELS.index(model)
    return [program.distinct[k] for k in program.order[first : first + STEPS]]


def _ops(program, model):
    """Every op of the model's steps, in order, with its place."""
    return [
        (str(program.calls[what]), program.contexts[context], stream)
        for step in _steps(program, model)
        for kind, what, context, stream, _ in step.events.tolist()
        if kind == Kind.OP
    ]


def _peaks(program, model):
    return [memory_use(program, step).peak_bytes for step in _steps(program, model)]


@pytest.mark.parametrize("model", MODELS)
def test_the_record_is_the_same_with_and_without_values(runs, model):
    with_values, without = (_ops(runs[numerics][1], model) for numerics in (True, False))
    assert len(with_values) > 30
    assert Counter(with_values) == Counter(without)
    assert with_values == without


@pytest.mark.parametrize("model", MODELS)
def test_the_peak_is_the_same_with_and_without_values(runs, model):
    assert runs[True][0][model] == runs[False][0][model]
    assert _peaks(runs[True][1], model) == _peaks(runs[False][1], model)


def test_the_record_says_whether_it_has_values(runs):
    assert runs[True][1].facts["numerics"] is True
    assert runs[False][1].facts["numerics"] is False


def test_a_value_asked_without_values_is_warned_of_once(tmp_path):
    script = tmp_path / "asks.py"
    script.write_text(
        "import torch\n"
        "x = torch.randn(1024, 1024, device='gcu')\n"
        "print(sum(x.mean().item() for _ in range(3)))\n"
    )
    ran = run_suiren(script, "--no-numerics")
    assert ran.stdout.split()[0] == "3.0"
    assert ran.stderr.count("a value was asked of a tensor without storage") == 1


def test_memory_runs_out_without_values_too(tmp_path):
    script = tmp_path / "big.py"
    script.write_text("import torch\ntorch.empty(1 << 34, device='gcu')\n")
    ran = run_suiren(script, "--no-numerics", "--memory", "32GiB")
    assert ran.returncode == 1
    assert "Tried to allocate 64.00 GiB" in ran.stderr + ran.stdout
