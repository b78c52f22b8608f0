"""Scripts written for CUDA run unchanged, and ones that say `gcu` never hear of CUDA."""

from __future__ import annotations

import pytest
from device_helpers import answers, cases, functions_of, run_python, run_suiren

SCRIPT = "cuda_checks.py"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What went wrong in each check of the script, which runs once."""
    return answers(SCRIPT, tmp_path_factory.mktemp("cuda"))


BUGS = {
    "storages_are_on_cuda": "B34: storages say gcu",
}


@pytest.mark.parametrize("check", cases({n: n for n in functions_of(SCRIPT, "check_")}, BUGS))
def test_a_cuda_script_finds_what_it_needs(found, check):
    if found[check]:
        pytest.fail(found[check], pytrace=False)


STYLES = {
    "transfer_to_gcu": "import torch\nimport torch_gcu\nfrom torch_gcu import transfer_to_gcu\n",
    "only the transfer": "import torch\nfrom torch_gcu import transfer_to_gcu\n",
}


@pytest.mark.parametrize("head", cases(STYLES))
def test_the_real_stack_s_import_makes_cuda_mean_the_card(head):
    body = "x = torch.ones(2).cuda()\nprint(x.is_cuda, x.device, torch.cuda.get_device_name())\n"
    ran = run_python("-c", head + body)
    assert ran.stdout.strip() == "True cuda:0 Enflame CloudBlazer T21 (virtual)", ran.stderr


def test_torch_gcu_alone_leaves_cuda_absent():
    code = (
        "import torch, torch_gcu\n"
        "print(torch.gcu.is_available(), torch.cuda.is_available(), torch.ones(1).gcu().device)\n"
    )
    ran = run_python("-c", code)
    assert ran.stdout.split() == ["True", "False", "gcu:0"], ran.stderr


def test_the_environment_names_torch_gcu_s_card(monkeypatch):
    monkeypatch.setenv("SUIREN_CARD", "toy")
    code = "import torch, torch_gcu\nprint(torch.gcu.get_device_name())\n"
    assert run_python("-c", code).stdout.strip() == "Toy card (virtual)"


def test_a_script_that_says_gcu_only_sees_gcu(tmp_path):
    script = tmp_path / "own.py"
    script.write_text(
        "import torch\n"
        "model = torch.nn.Linear(2, 2).to('gcu')\n"
        "x = torch.ones(2, 2, device=torch.device('gcu:1'))\n"
        "y = model(torch.ones(1, 2).gcu())\n"
        "y.sum().backward()\n"
        "torch.gcu.synchronize()\n"
        "torch.manual_seed(1)\n"
        "torch.save(model.state_dict(), 'own.pt')\n"
        "print(model.weight.device, x.device, y.device, model.weight.grad.device)\n"
        "print(torch.load('own.pt')['weight'].device, str(x).split('device=')[1])\n"
    )
    ran = run_python("-c", _in(tmp_path, script))
    assert ran.stdout.split() == [
        "gcu:0", "gcu:1", "gcu:0", "gcu:0", "gcu:0", "'gcu:1')",
    ], ran.stderr  # fmt: skip


def _in(folder, script):
    """Code that runs the script by `suiren run` inside a folder."""
    return (
        "import os, sys\n"
        f"os.chdir({str(folder)!r})\n"
        "from suiren.cli import main\n"
        f"sys.argv = ['suiren', 'run', {str(script)!r}, '--on', 'toy', '--quiet']\n"
        "main()\n"
    )


def test_asking_about_cuda_does_not_turn_a_gcu_script_into_a_cuda_one(tmp_path):
    script = tmp_path / "both.py"
    probes = [
        "torch.cuda.is_available()", "torch.cuda.manual_seed_all(1)", "torch.cuda.empty_cache()",
        "torch.manual_seed(1)", "torch.device('cuda')", "torch.backends.cudnn.benchmark",
    ]  # fmt: skip
    lines = [f"{probe}\nprint(torch.ones(2, device='gcu').device)\n" for probe in probes]
    script.write_text("import torch\n" + "".join(lines))
    ran = run_suiren(script)
    assert ran.stdout.split()[: len(probes)] == ["gcu:0"] * len(probes), ran.stderr


def test_more_cards_are_visible_when_the_environment_lists_them(tmp_path, monkeypatch):
    script = tmp_path / "many.py"
    script.write_text(
        "import torch\nprint(torch.cuda.device_count(), torch.ones(2, device='cuda:1').device)\n"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    ran = run_suiren(script)
    assert ran.stdout.split()[:2] == ["3", "cuda:1"], ran.stderr


def test_a_script_s_arguments_exit_code_and_traceback_are_its_own(tmp_path):
    script = tmp_path / "fails.py"
    script.write_text(
        "import sys\n"
        "print(__name__, sys.argv[1:])\n"
        "if sys.argv[1] == 'exit':\n"
        "    sys.exit(3)\n"
        "raise ValueError('no')\n"
    )
    ran = run_suiren(script, "--", "exit", "--fast")
    assert ran.returncode == 3
    assert "__main__ ['exit', '--fast']" in ran.stdout
    ran = run_suiren(script, "--", "raise")
    assert ran.returncode == 1
    assert "ValueError: no" in ran.stderr
    assert "runpy" not in ran.stderr
