"""`suiren goodput`: every seed its run, and a mistake is one sentence and exit code 2."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from suiren_runs import is_one_sentence, suiren

from suiren.commands.goodput import goodput

SMALL = ["--chips", "64", "--step-s", "2", "--checkpoint-bytes", "10GB", "--days", "3",
         "--runs", "3", "--failure-factor", "300"]  # fmt: skip


def ran(*arguments: object) -> Result:
    return CliRunner().invoke(goodput, [str(a) for a in arguments])


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "again"):
        done = ran(*SMALL, "--json", tmp_path / f"{name}.json", "--report", tmp_path / name)
        assert done.exit_code == 0, done.output
    for end in (".json", ""):
        first, again = ((tmp_path / f"{n}{end}").read_bytes() for n in ("first", "again"))
        assert first == again
    found = json.loads((tmp_path / "first.json").read_text())
    assert sum(found["spent_s"].values()) == pytest.approx(found["horizon_s"])
    assert found["goodput_share"] == pytest.approx(found["runs"][0]["goodput_share"])
    assert sum(found["failures"].values()) == found["runs"][0]["failures"] > 0
    best = max(found["checkpoint"]["curve"], key=lambda p: p["goodput_share"])
    assert best["every_steps"] == found["checkpoint"]["every_steps"]


def test_the_page_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    ran(*SMALL, "--report", tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    HTMLParser().feed(text)
    assert "http" not in text.replace("http://www.w3.org", "")
    assert text.count("<rect") > 10


@pytest.mark.parametrize("text", ['{"summary": {"step_time_s": 0.5}}', '{"step_s": 0.5}'])
def test_the_step_comes_from_the_json_of_a_run_or_of_a_layout(tmp_path: Path, text: str) -> None:
    (tmp_path / "step.json").write_text(text)
    done = ran("--on", "t21x8", "--step", tmp_path / "step.json", "--checkpoint-bytes", 1e9,
               "--days", 1, "--failures", "none", "--every", 100)  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "steps of 500 ms" in done.output
    assert "T21" in done.output


def test_background_writes_keep_more_and_spares_too(tmp_path: Path) -> None:
    def share(*more: object) -> float:
        done = ran(*SMALL, "--json", tmp_path / "out.json", *more)
        assert done.exit_code == 0, done.output
        return float(json.loads((tmp_path / "out.json").read_text())["goodput_share"])

    slow_storage = ("--storage", "50MB/s", "--spares", 10, "--every", 200)
    assert share(*slow_storage, "--background") > share(*slow_storage)
    assert share("--every", 50, "--spares", 10) > share("--every", 50) + 0.1


@pytest.mark.parametrize(("arguments", "words"), [
    (["--step-s", 1, "--checkpoint-bytes", 1], "say how many chips train"),
    (["--chips", 8, "--checkpoint-bytes", 1], "say how long a step takes"),
    (["--chips", 8, "--step-s", 0, "--checkpoint-bytes", 1], "0 is not in the range"),
    (["--chips", 8, "--step-s", 1, "--checkpoint-bytes", "2 parsecs"], "no number of bytes"),
    (["--on", "t22x8", "--step-s", 1, "--checkpoint-bytes", 1], "no node is called 't22x8'"),
    (["--chips", 8, "--step", "none.json", "--checkpoint-bytes", 1], "none.json cannot be read"),
    (["--chips", 8, "--step-s", 1, "--checkpoint-bytes", 1, "--report", "no/x"], "cannot be writ"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(arguments: list[object], words: str, tmp_path: Path) -> None:
    done = suiren("goodput", *arguments, cwd=tmp_path)
    assert words in is_one_sentence(done)
