"""A run says of every finding whether it ran, and shows what only a run can."""

from __future__ import annotations

from pathlib import Path

import pytest

from suiren.port.confirm import BadCommandError, command_of, confirm
from suiren.port.scan import scan

SCRIPT = Path(__file__).parent / "scripts" / "wide.py"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a run of the script showed: (by line and kind, how it ended)."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "wide.py").write_text(SCRIPT.read_text())
    found = scan(folder)
    ran = confirm(found, command_of("python wide.py", folder), "toy")
    return {(f.source, f.tie.name): f.confirmed for f in found.ties}, ran


def test_what_ran_is_told_from_what_was_not_reached(told) -> None:
    seen, _ = told
    assert seen["model = torch.nn.Linear(4, 4).cuda()", "cuda-call"] == "seen running"
    assert seen["return torch.ones(1).cuda()", "cuda-call"] == "not reached"


def test_what_raised_says_so(told) -> None:
    seen, ran = told
    assert seen["torch.cuda.nccl.unique_id()", "cuda-comm"].startswith("raised: AttributeError: ")
    assert ran.exit_code == 1
    assert ran.error.startswith("wide.py:22: AttributeError")
    assert ran.seen["raised"] == 1


def test_a_run_shows_64_bit_ops_that_no_text_does(told) -> None:
    seen, _ = told
    assert seen["counts = counts + counts", "int64-arithmetic"] == "seen running: add × 2"


@pytest.mark.parametrize("command", ["", "python", "torchrun x.sh", "python -m train"])
def test_a_command_that_is_no_script_is_told(command) -> None:
    with pytest.raises(BadCommandError, match="runs no Python script"):
        command_of(command, Path())


def test_a_script_is_looked_for_in_the_code_base_too(tmp_path) -> None:
    (tmp_path / "train.py").touch()
    found = command_of(("python3", "train.py", "--steps", "2"), tmp_path)
    assert (found.folder, found.arguments) == (tmp_path, ("--steps", "2"))
    with pytest.raises(BadCommandError, match=r"there is no script 'other\.py'"):
        command_of("other.py", tmp_path)
