"""What the tests of the device share: comparing with the host, and scripts in own processes."""

from __future__ import annotations

import ast
import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from warm_python import alone_python, python

SCRIPTS = Path(__file__).parent / "scripts"
TIMEOUT_S = 120


def same(card: Any, host: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Both hold the same numbers, shapes and formats, wherever they are."""
    torch.testing.assert_close(card, host, rtol=rtol, atol=atol, check_device=False)


def on_both(make: Callable[[str], Any], **tolerance: float) -> None:
    """What `make` computes on the card is what it computes on the host."""
    same(make("gcu"), make("cpu"), **tolerance)


def cases(table: dict[str, Any], bugs: dict[str, str] | None = None) -> list[Any]:
    """Parameters named by their keys; those in `bugs` are known to fail, for the reason given."""
    bugs = bugs or {}
    assert bugs.keys() <= table.keys()
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)),
            id=name,
            marks=[pytest.mark.xfail(strict=True, reason=bugs[name])] if name in bugs else [],
        )
        for name, value in table.items()
    ]


def twins(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The model on the card and an equal one on the host."""
    return copy.deepcopy(model).to("gcu"), copy.deepcopy(model)


def functions_of(script: str, prefix: str) -> list[str]:
    """Names of a script's functions that start with `prefix`, without it, in order."""
    tree = ast.parse((SCRIPTS / script).read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def run_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs this Python in a process that loads everything itself; returns what it wrote."""
    return alone_python(*arguments, timeout_s=TIMEOUT_S)


def run_suiren(script: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """`suiren run SCRIPT --on toy --quiet …`."""
    options = ("run", script, "--on", "toy", "--quiet", *options)
    return python("-m", "suiren.cli", *options, timeout_s=TIMEOUT_S)


def answers(script: str, folder: Path, *options: object) -> dict[str, str]:
    """Runs a script of checks on the card: name -> what went wrong, empty if nothing did."""
    found = folder / "answers.json"
    ran = run_suiren(SCRIPTS / script, *options, "--", found)
    if not found.exists():
        raise RuntimeError(f"{script} did not come to its end:\n{ran.stdout}\n{ran.stderr}")
    return json.loads(found.read_text())
