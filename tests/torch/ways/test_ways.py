"""Every way people train works on the card as on the host, by scripts written for CUDA."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "scripts"
TIMEOUT_S = 300
#: Scripts that share a process on the card and one on the host.
GROUPS = {
    "mathematics": ("ways_precision", "ways_autograd", "ways_modules"),
    "surroundings": ("ways_data", "ways_watching", "ways_graphs"),
    "attention": ("ways_attention",),
    "compile": ("ways_compile",),
    "libraries": ("library_loops",),
}
SLOW = ("attention", "compile", "libraries")
#: Ways that run in the default run although their group is slow.
SOONER = {
    "compile": ("default", "backend_suiren", "graph_breaks", "attention_of_sequences_first"),
    "attention": ("every_kernel_that_can_be_chosen", "flex_attention", "masks"),
    "libraries": ("trainer_in_bf16_with_a_fused_optimizer",),
}
#: How far the card may be from the host, beside the largest value; FP32 unless named here.
BOUNDS = {
    "autocast_bf16": 2**-7,
    "autocast_fp16_with_a_scaler": 2**-10,
    "old_names_of_amp": 2**-10,
    "autocast_decorates_forward": 2**-8,
    "attention_in_bf16": 2**-8,
    "a_whole_step_under_autocast": 2**-8,
    "under_autocast": 2**-7,
    "channels_last": 2**-10,  # convolutions take TF32 operands by PyTorch's own default
    "double_backward": 2**-10,
    "trainer_in_bf16_with_a_fused_optimizer": 2**-7,
    "trainer_in_fp16_with_checkpointing": 2**-9,
    "accelerate_in_bf16": 2**-7,
    "accelerate_in_fp16": 2**-9,
    "lightning_in_bf16": 2**-7,
    "lightning_in_fp16": 2**-9,
    "a_timm_loop": 2**-9,
    # Adam makes a whole step of a gradient that is nothing but rounding
    "accelerate": 2**-12,
    "a_graph_network": 2**-12,
}
BUGS = {
    "attention_of_nested_tensors": "the choice of a kernel asks a nested tensor for its sizes",
}


def ways_of(script: str) -> list[str]:
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix("way_") for name in names if name.startswith("way_")]


def _start(answers: Path, scripts: tuple[str, ...], on_card: bool) -> subprocess.Popen[str]:
    script = [str(SCRIPTS / "every_way.py")]
    if on_card:
        script = ["-m", "suiren.cli", "run", *script, "--on", "toy", "--quiet", "--"]
    return subprocess.Popen(
        [sys.executable, *script, str(answers), *scripts],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=SCRIPTS,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def both(folder: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """What the ways answered on the card and on the host."""
    files = {True: folder / "card.json", False: folder / "host.json"}
    running = {where: _start(file, arguments, where) for where, file in files.items()}
    found = {}
    for where, process in running.items():
        output, _ = process.communicate(timeout=TIMEOUT_S)
        if not files[where].exists():
            raise RuntimeError(f"no answers, exit code {process.returncode}:\n{output[-3000:]}")
        found["card" if where else "host"] = json.loads(files[where].read_text())
    return found


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs a group of scripts once, when its first way is asked for."""
    known: dict[tuple[str, ...], dict[str, Any]] = {}

    def of(group: str, sooner: bool) -> dict[str, Any]:
        arguments = GROUPS[group]
        if sooner:
            arguments = (*arguments, "--", *SOONER[group])
        if arguments not in known:
            known[arguments] = both(tmp_path_factory.mktemp(group), arguments)
        return known[arguments]

    return of


def _cases() -> list[Any]:
    cases = []
    for group, scripts in GROUPS.items():
        for way in (way for script in scripts for way in ways_of(script)):
            sooner = way in SOONER.get(group, ())
            marks = [pytest.mark.slow] if group in SLOW and not sooner else []
            if way in BUGS:
                marks.append(pytest.mark.xfail(reason=BUGS[way], strict=False))
            cases.append(pytest.param(group, way, sooner, id=way, marks=marks))
    return cases


@pytest.mark.parametrize(("group", "way", "sooner"), _cases())
def test_a_way_to_train_works_as_on_the_host(
    answers: Any, group: str, way: str, sooner: bool
) -> None:
    found = answers(group, sooner)
    card, host = found["card"][way], found["host"][way]
    if "ModuleNotFoundError" in card["error"] and group == "libraries":
        pytest.skip(card["error"].splitlines()[-1])
    if card["error"]:
        pytest.fail(card["error"], pytrace=False)
    assert host["error"] == ""
    assert len(card["values"]) == len(host["values"])
    largest = max((abs(x) for x in host["values"]), default=0.0)
    bound = BOUNDS.get(way, 2e-5) * max(largest, 1e-3)
    apart = [abs(a - b) for a, b in zip(card["values"], host["values"], strict=True)]
    assert max(apart, default=0.0) <= bound
