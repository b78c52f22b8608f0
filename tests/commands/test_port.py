"""`suiren port` as it is typed."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from suiren.cli import main

TIED = Path(__file__).parents[1] / "port" / "tied"
CLEAN = "import torch\n\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\n"


@dataclass(frozen=True)
class Ran:
    exit_code: int
    output: str


def port(*arguments: object) -> Ran:
    """`suiren port …` in this process."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(["port", *map(str, arguments)])
        except SystemExit as stopped:
            return Ran(int(stopped.code or 0), said.getvalue())
    return Ran(0, said.getvalue())


def test_the_screen_groups_by_verdict_and_sums_up() -> None:
    ran = port(TIED)
    assert ran.exit_code == 0, ran.output
    places = [ran.output.index(t) for t in ("needs a person:", "rewritten by --fix:", "runs as is")]
    assert places == sorted(places)
    text = " ".join(ran.output.split())
    assert "93 ties in 10 of 11 files" in text and text.endswith("1 file could not be read")
    assert "old.py could not be read: it is no Python 3" in text


def test_json_has_every_finding(tmp_path) -> None:
    ran = port(TIED, "--json", tmp_path / "found.json")
    assert ran.exit_code == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["ties"] == len(found["findings"]) == sum(found["verdicts"].values())
    rows = {r["kind"]: r for r in found["findings"]}
    assert rows["nccl-backend"]["file"] == "train.py"
    assert (rows["cuda-graph"]["verdict"], rows["cuda-graph"]["runs_under_transfer"]) == (
        "runs as is", True,
    )  # fmt: skip
    assert not any(r["runs_under_transfer"] for r in rows.values() if r["kind"] == "triton-kernel")
    port(TIED, "--json", tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "found.json").read_bytes()


def test_check_fails_only_where_a_person_is_needed(tmp_path) -> None:
    assert port(TIED, "--check").exit_code == 1
    (tmp_path / "x.py").write_text("import torch\ntorch.ones(2).cuda()\n")
    assert port(tmp_path, "--check").exit_code == 0


def test_guarded_uses_are_shown_when_asked_for(tmp_path) -> None:
    (tmp_path / "x.py").write_text(CLEAN)
    assert "1 more is guarded" in port(tmp_path).output
    assert "the other choice is not CUDA" in port(tmp_path, "--all").output


def test_a_patch_is_printed_written_and_applied(tmp_path) -> None:
    path = tmp_path / "x.py"
    path.write_text("import torch\nx = torch.ones(2).cuda()\n")
    code = [sys.executable, "-m", "suiren.cli", "port", str(tmp_path), "--fix"]
    printed = subprocess.run(code, capture_output=True, text=True, check=True)
    assert "+x = torch.ones(2).to(DEVICE)\n" in printed.stdout
    assert "the patch changes 1 file" in printed.stderr
    assert port(tmp_path, "--patch", tmp_path / "a.patch").exit_code == 0
    assert (tmp_path / "a.patch").read_text() == printed.stdout
    assert path.read_text().endswith(".cuda()\n")
    assert port(tmp_path, "--write").exit_code == 0
    assert path.read_text().endswith(".to(DEVICE)\n")
    assert port(tmp_path, "--fix").output.startswith("the patch changes 0 files")


@pytest.mark.parametrize(("arguments", "said"), [
    (["nowhere"], "there is nothing at 'nowhere'"),
    ([".", "--run", "python -m train"], "runs no Python script"),
    ([".", "--run", "nothing.py"], "there is no script 'nothing.py'"),
    ([".", "--run", "a.py", "--", "b.py"], "give the command once"),
    ([".", "--json", "no/such/folder.json"], "cannot be written"),
    (["empty"], "holds no file that could be tied to CUDA"),
    ([".", "--on", "t99", "--run", "x.py"], "t99"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(arguments, said, tmp_path, monkeypatch) -> None:
    (tmp_path / "x.py").write_text(CLEAN)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    ran = port(*arguments)
    assert ran.exit_code == 2
    assert said in ran.output
    assert "Traceback" not in ran.output
