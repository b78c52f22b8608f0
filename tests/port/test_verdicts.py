"""Verdicts are true: what is said to run under transfer does, what is said not to does not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from suiren.port.kinds import ALL_TIES

PYTHON = [t for t in ALL_TIES if t.file.endswith(".py")]
#: These fail for a reason of their own here: a package, a function to be called.
NOT_TRIED = ("flash-option", "quantised-option", "trainer-gpu",
             "nvidia-tool", "compile-backend", "cuda-extension",
             "data-parallel-devices", "native-library")  # fmt: skip

SCRIPT = """
import json, os, sys
import torch
from torch_gcu import transfer_to_gcu
torch.ones(1, device="cuda")
wrong = {}
for name, text in json.load(open(sys.argv[1])).items():
    environment = dict(os.environ)
    try:
        exec(text, {"__name__": "example"})
    except BaseException as problem:
        wrong[name] = f"{type(problem).__name__}: {problem}"
    os.environ.clear()
    os.environ.update(environment)
json.dump(wrong, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory) -> dict[str, str]:
    """Kind -> error of every example, run unchanged after the transfer."""
    folder = tmp_path_factory.mktemp("verdicts")
    texts = {t.name: t.example for t in PYTHON if t.name not in NOT_TRIED}
    (folder / "examples.json").write_text(json.dumps(texts))
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", "examples.json", "wrong.json"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ran = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120,
        env={**os.environ, **alone},
    )  # fmt: skip
    assert (folder / "wrong.json").exists(), ran.stderr
    return json.loads((folder / "wrong.json").read_text())


@pytest.mark.parametrize("tie", [t for t in PYTHON if t.under_transfer], ids=lambda t: t.name)
def test_what_is_said_to_run_under_transfer_runs(tie, failed) -> None:
    assert failed.get(tie.name) is None


@pytest.mark.parametrize(
    "tie",
    [t for t in PYTHON if not t.under_transfer and t.name not in NOT_TRIED],
    ids=lambda t: t.name,
)
def test_what_is_said_not_to_run_does_not(tie, failed) -> None:
    assert tie.name in failed, f"{tie.name} runs by now: set `under_transfer` and its advice"
