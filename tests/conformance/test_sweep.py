"""The sweep over processes: choosing, counting, and what a crash costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suiren.conformance.expected import Expected, expected, reason_of
from suiren.conformance.judgement import FAILED, PASSED, SKIPPED, Judgement, Times
from suiren.conformance.summary import Summary
from suiren.conformance.sweep import Found, Sweep, UnknownSubjectError, chosen

NAMES = ["add", "linalg.norm", "linalg.norm.subgradients", "mm", "nn.Linear"]


def test_a_name_chooses_its_variants_too() -> None:
    assert chosen(NAMES, ("linalg.norm",), (1, 1)) == NAMES[1:3]
    assert chosen(NAMES, ("nn.*", "add"), (1, 1)) == ["add", "nn.Linear"]


def test_shards_share_everything_once() -> None:
    parts = [chosen(NAMES, (), (k, 3)) for k in (1, 2, 3)]
    assert sorted(name for part in parts for name in part) == NAMES


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownSubjectError, match="ad"):
        chosen(NAMES, ("ad",), (1, 1))


def test_counts() -> None:
    found = Found(
        [
            Judgement("add", "float32", 0, PASSED),
            Judgement("add", "float32", 1, FAILED, "out", "differs"),
            Judgement("mm", "float32", 0, SKIPPED),
        ],
        {"add": Times(5, ("addcdiv",), ())},
    )
    document = Summary(found).document("t21")
    assert (document["ops"], document["samples"], document["passed"]) == (1, 2, 1)
    assert document["failures"][0] | {} == {
        "op": "add", "dtype": "float32", "sample": 1, "check": "out", "message": "differs",
        "expected": "",
    }  # fmt: skip
    assert document["ops_approximated"] == ["addcdiv"]


def test_an_expected_failure_needs_every_part_to_match() -> None:
    row = Expected("nn.L*", "why", dtype="bfloat16", message="close")
    assert row.covers(Judgement("nn.LSTM", "bfloat16", 3, FAILED, "backward", "not close!"))
    assert not row.covers(Judgement("nn.LSTM", "float32", 3, FAILED, "backward", "not close!"))
    assert not row.covers(Judgement("nn.LSTM", "bfloat16", 3, FAILED, "backward", "wrong shape"))


def test_every_expected_failure_gives_a_reason() -> None:
    assert [row.op for row in expected() if len(row.reason.split()) < 5] == []
    assert reason_of(Judgement("add", "float32", 0, FAILED, "forward", "")) == ""


def test_a_crash_costs_one_subject(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A subject that takes its process down is one failure; the rest is judged all the same."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if any('suiren.conformance.work' in a for a in sys.orig_argv):\n"
        "    import suiren.conformance.judgement as v\n"
        "    real = v.judged\n"
        "    def judged(op, *rest):\n"
        "        if op == 'neg':\n"
        "            os._exit(9)\n"
        "        return real(op, *rest)\n"
        "    v.judged = judged\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: list[str] = []
    found = Sweep("toy", ("float32",), 1).run(
        ("neg", "abs"), (1, 1), lambda count: told.append(str(count)), told.append
    )
    assert told == ["2", "abs", "neg"]
    (failed,) = [v for v in found.judgements if v.state == FAILED]
    assert (failed.op, "ended its process (9)" in failed.message) == ("neg", True)
    assert found.times["abs"].calls > 0
    assert not found.times["abs"].failed


@pytest.mark.slow
def test_all_of_pytorchs_samples(tmp_path: Path) -> None:
    found = Sweep("t21", ("float32", "bfloat16"), 2).run((), (1, 1), lambda _: None, lambda _: None)
    summary = Summary(found)
    (tmp_path / "found.json").write_text(json.dumps(summary.document("t21")))
    assert summary.surprises == []
    assert summary.share() >= 0.98
