"""Ctrl-C while the command loads ends it without a word."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from suiren import starting


@pytest.mark.parametrize("loaded", ["suiren.commands", "click.core"])
def test_ctrl_c_while_modules_load_is_silent(loaded: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "suiren.cli", "chips"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.rpartition("|")[2].strip().startswith(loaded):
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert [line for line in err.splitlines() if not line.startswith("import time:")] == []
    assert out == ""


def test_a_process_that_only_imports_the_command_keeps_its_ctrl_c() -> None:
    asks = (
        "import signal; before = signal.getsignal(signal.SIGINT); from suiren import starting;"
        "starting.begin(); print(signal.getsignal(signal.SIGINT) is before)"
    )
    ran = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


def test_an_extension_that_tells_ctrl_c_as_its_own_error_is_understood() -> None:
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("initialization failed")  # noqa: B904 - as extensions do
    except ImportError as problem:
        assert starting.is_interrupt(problem)
    assert not starting.is_interrupt(ImportError("no module"))
