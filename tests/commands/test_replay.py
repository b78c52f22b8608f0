"""`suiren replay`: a saved trace on any card, without the script and without PyTorch."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from suiren.cli import main, suiren
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step
from suiren.trace.text import save_program

MM = "aten::mm(self=f32[256,256],mat2=f32[256,256])->(f32[256,256])"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    rows = [(Kind.ALLOC, 3, 0, 0, 262144), (Kind.OP, 0, 0, 0, 0), (Kind.FREE, 3, 0, 0, 262144)]
    live = [(1, 0, 262144), (2, 0, 262144)]
    step = Step(np.array(rows, EVENT), np.array([1, 2, 3], np.int32), np.array(live, LIVE))
    asked = Program([parse_call(MM)], [Context("forward", "Net")], [step], [0, 0, 0])
    asked.facts = {"script": "mm.py"}
    save_program(asked, tmp_path / "t.gz")
    return tmp_path / "t.gz"


def replayed(trace: Path, card: str, *options: str) -> dict:
    out = trace.parent / f"{card}.json"
    ran = CliRunner().invoke(
        suiren, ["replay", str(trace), "--on", card, "--json", str(out), *options]
    )
    assert ran.exit_code == 0, ran.output
    return json.loads(out.read_text())


def test_every_card_answers_about_the_same_program(trace: Path) -> None:
    for card in ("toy", "t21", "a100", "tpu-v5e"):
        told = replayed(trace, card)
        assert told["card"]["name"] == card
        assert told["model_flop"] == 2 * 256**3
        assert told["peak_memory_bytes"] == 3 * 262144
        assert told["steps"]["num_steps"] == 3


def test_equal_replays_write_equal_bytes(trace: Path) -> None:
    replayed(trace, "t21")
    first = (trace.parent / "t21.json").read_bytes()
    replayed(trace, "t21")
    assert (trace.parent / "t21.json").read_bytes() == first


def test_all_reports_are_written(trace: Path) -> None:
    page, perfetto = trace.parent / "r.html", trace.parent / "p.json"
    replayed(trace, "toy", "--report", str(page), "--trace", str(perfetto))
    assert page.read_text().lstrip().lower().startswith("<!doctype html>")
    assert json.loads(perfetto.read_text())["traceEvents"]


def test_replaying_loads_no_torch(trace: Path) -> None:
    code = (
        "import sys; from suiren.cli import suiren\n"
        f"suiren.main(['replay', {str(trace)!r}, '--on', 'a100'], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0


def mistake(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["replay", *map(str, arguments)])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.out == ""
    return " ".join(said.err.split())


def test_a_missing_trace_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "there is no trace" in mistake(capsys, tmp_path / "none.gz")


def test_a_damaged_trace_is_refused(capsys: pytest.CaptureFixture[str], trace: Path) -> None:
    whole = trace.read_bytes()
    text = gzip.decompress(whole).decode()
    for damaged in (
        whole[:-20],
        whole[:30] + b"\0\0\0\0" + whole[34:],
        text.replace("op 0", "op 7").encode(),
        text.replace("suiren-trace", "other-trace").encode(),
        b"",
    ):
        trace.write_bytes(damaged)
        assert "t.gz" in mistake(capsys, trace)


def test_a_trace_of_nothing_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save_program(Program(), tmp_path / "empty.gz")
    assert "ran no op" in mistake(capsys, tmp_path / "empty.gz")


def test_an_unwritable_path_is_found_before_the_trace_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = mistake(capsys, tmp_path / "none.gz", "--json", tmp_path / "no" / "folder" / "a.json")
    assert "cannot be written" in words
    assert "nothing was run" in words


def test_a_card_without_peaks_tells_how_to_give_them(
    capsys: pytest.CaptureFixture[str], trace: Path
) -> None:
    words = mistake(capsys, trace, "--on", "s60")
    assert "no peak" in words
    assert "based_on" in words
