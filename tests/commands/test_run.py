"""`suiren run`: the script runs as it would alone, and the answer is written as asked.

Runs are few and say much; one of them loads everything itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from suiren_runs import COMMAND, TRAIN, Ran, is_one_sentence, script, suiren

from suiren.history.store import History

OURS = ("--on", "toy", "--seed", "7")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    script(folder, TRAIN)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path) -> Ran:
    """One run that writes everything, with arguments for the script after `--`."""
    return suiren(
        "run", "train.py", *OURS, "--json", "a.json", "--save-trace", "t.gz", "--report", "r.html",
        "--trace", "p.json", "--tensorboard", "tb", "--", "--on", "mine", "--lr=3", "x y",
        cwd=folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained_again(folder: Path, trained: Ran) -> Ran:
    """The same seed, with arguments for the script without `--`."""
    assert trained.code == 0, trained.err
    return suiren(
        "run", "train.py", *OURS, "--json", "b.json", "--epochs", "3", "-v", cwd=folder, alone=True
    )


def test_a_script_that_ends_well_ends_with_zero(trained: Ran) -> None:
    assert trained.code == 0, trained.err
    assert "Traceback" not in trained.err
    for part in ("loss", "step time", "train.py on Toy card", "4 steps ran"):
        assert part in trained.out
    for name in ("a.json", "t.gz", "r.html", "p.json", "tb"):
        assert f"wrote {name}" in trained.words


def test_a_run_is_kept_with_its_trace_and_how_it_was_asked(folder: Path, trained: Ran) -> None:
    history = History()
    record = next(r for r in reversed(history.records()) if r.facts["folder"] == str(folder))
    assert (record.kind, record.title, record.card) == ("run", "train.py", "Toy card")
    facts = record.facts
    assert facts["command"].startswith("suiren run train.py --on toy --seed 7 --json a.json ")
    assert facts["command"].endswith(" -- --on mine --lr=3 'x y'")
    assert facts["script"] == str(folder / "train.py")
    assert facts["script_sha256"] == hashlib.sha256(TRAIN.encode()).hexdigest()
    assert facts["versions"]["torch"].startswith("2.") and facts["exit_code"] == 0
    assert history.document(record) == json.loads((folder / "a.json").read_text())
    assert history.part(record, "trace") == (folder / "t.gz").read_bytes()


def test_arguments_of_the_script_pass_with_and_without_dashes(
    trained: Ran, trained_again: Ran
) -> None:
    assert "arguments ['--on', 'mine', '--lr=3', 'x y']" in trained.out
    assert "arguments ['--epochs', '3', '-v']" in trained_again.out


def test_the_same_seed_gives_the_same_values_and_the_same_bytes(
    folder: Path, trained: Ran, trained_again: Ran
) -> None:
    losses = [ran.out.partition("loss ")[2].split()[0] for ran in (trained, trained_again)]
    assert losses[0] == losses[1]
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()


def test_the_document_is_about_the_script(folder: Path, trained: Ran) -> None:
    told = json.loads((folder / "a.json").read_text())
    assert (told["script"], told["outcome"], told["card"]["name"]) == (
        "train.py",
        "finished",
        "toy",
    )
    assert told["steps"]["num_steps"] == 4
    assert told["batch"]["samples"] == 8
    # forward, and backward by the weights of both layers and the input of the second
    assert told["model_flop"] == 2 * 8 * (2 * 16 * 32 + 3 * 32 * 4)
    # four tensors in blocks of 512 B, the first of 16 × 32 × 4 B
    assert told["memory_by_kind_bytes"]["weights"] == 2048 + 3 * 512


def test_a_replay_of_the_saved_trace_tells_the_same(folder: Path, trained: Ran) -> None:
    assert trained.code == 0
    assert suiren("replay", "t.gz", "--on", "toy", "--json", "c.json", cwd=folder).code == 0
    assert (folder / "c.json").read_bytes() == (folder / "a.json").read_bytes()


def test_a_script_that_raises_shows_its_own_traceback_and_the_report(tmp_path: Path) -> None:
    broken = TRAIN.replace(
        "print(", "def fail():\n    raise ValueError('my [/] mistake')\nfail()\nprint("
    )
    script(tmp_path, broken)
    ran = suiren("run", "train.py", "--on", "toy", "--json", "a.json", cwd=tmp_path)
    assert ran.code == 1
    assert ran.err.count("Traceback") == 1
    assert "ValueError: my [/] mistake" in ran.err
    assert ran.err.index('File "train.py"') < ran.err.index("fail()")
    for ours in ("runner.py", "runpy", "cli.py"):
        assert ours not in ran.err
    assert "step time" in ran.out
    assert json.loads((tmp_path / "a.json").read_text())["outcome"] == "raised"


def test_an_exit_code_passes_through(tmp_path: Path) -> None:
    script(tmp_path, TRAIN + "\nsys.exit(3)\n")
    ran = suiren("run", "train.py", "--on", "toy", cwd=tmp_path)
    assert ran.code == 3
    assert "Traceback" not in ran.err
    assert "step time" in ran.out


def test_a_script_that_leaves_the_device_alone_is_told_so(tmp_path: Path) -> None:
    script(tmp_path, "print('hello')\n")
    ran = suiren("run", "train.py", "--on", "toy", "--json", "a.json", cwd=tmp_path)
    assert ran.code == 2
    assert "ran no op on the device" in ran.words
    assert 'device="cuda"' in ran.words
    assert ran.out == "hello\n"
    assert not (tmp_path / "a.json").exists()


def test_an_interrupted_run_reports_the_steps_it_made(tmp_path: Path) -> None:
    endless = TRAIN.replace("range(4)", "range(10**9)").replace(
        "    optimizer.step()", "    optimizer.step()\n    print('step', step, flush=True)"
    )
    script(tmp_path, endless)
    process = subprocess.Popen(
        [*COMMAND, "run", "train.py", "--on", "toy", "--json", "a.json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("step 5"):
            break
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "was interrupted" in err
    assert "step time" in out
    told = json.loads((tmp_path / "a.json").read_text())
    assert told["outcome"] == "interrupted"
    assert told["steps"]["num_steps"] >= 5


def test_a_mistake_is_one_sentence_in_a_process_too(tmp_path: Path) -> None:
    assert "t21" in is_one_sentence(suiren("chips", "t2l", cwd=tmp_path))
