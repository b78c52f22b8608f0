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


BUGS: dict[str, str] = {}


@pytest.mark.parametrize("check", cases({n: n for n in functions_of(SCRIPT, "check_")}, BUGS))
def test_a_script_without_values_goes_on(found, check):
    if found[check]:
        pytest.fail(found[check], pytrace=False)


# ---- the same record as with values

MODELS = ("mlp", "cnn", "gpt", "lstm", "amp")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(model, with values?) -> what was printed and what was recorded."""
    folder = tmp_path_factory.mktemp("models")

    def run(case):
        model, with_values = case
        trace = folder / f"{model}-{with_values}.gz"
        options = ["--seed", 1, "--save-trace", trace, *([] if with_values else ["--no-numerics"])]
        ran = run_suiren(SCRIPTS / "model_step.py", *options, "--", model)
        assert ran.returncode == 0, ran.stderr
        peak = next(line for line in ran.stdout.splitlines() if line.startswith("peak"))
        return int(peak.split()[1]), load_program(trace)

    wanted = [(model, with_values) for model in MODELS for with_values in (True, False)]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(wanted, pool.map(run, wanted), strict=True))


def _ops(program):
    """Every op of every step, in order, with its place."""
    return [
        (str(program.calls[what]), program.contexts[context], stream)
        for step in program.all_steps()
        for kind, what, context, stream, _ in step.events.tolist()
        if kind == Kind.OP
    ]


def _peaks(program):
    return [memory_use(program, program.distinct[k]).peak_bytes for k in program.order]


@pytest.mark.parametrize("model", MODELS)
def test_the_record_is_the_same_with_and_without_values(runs, model):
    with_values, without = (runs[model, values][1] for values in (True, False))
    assert len(with_values.order) == 3
    mine, theirs = _ops(with_values), _ops(without)
    surplus = Counter(mine) - Counter(theirs), Counter(theirs) - Counter(mine)
    assert surplus == (Counter(), Counter())
    assert mine == theirs


@pytest.mark.parametrize("model", MODELS)
def test_the_peak_is_the_same_with_and_without_values(runs, model):
    assert runs[model, True][0] == runs[model, False][0]
    assert _peaks(runs[model, True][1]) == _peaks(runs[model, False][1])


def test_the_record_says_whether_it_has_values(runs):
    assert runs["mlp", True][1].facts["numerics"] is True
    assert runs["mlp", False][1].facts["numerics"] is False


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
