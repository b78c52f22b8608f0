"""A mistake of one rank ends the run soon, with a sentence on every side, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from launched import SCRIPTS, launch

from suiren.torch.distributed import referee

MISTAKES = SCRIPTS / "mistakes.py"


def ranks_running() -> list[int]:
    """Processes of ranks that were started from here and are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes()
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if b"suiren.torch.distributed.rank" in command and parent == os.getpid():
            found.append(int(entry.name))
    return found


def line_of(text: str) -> str:
    lines = MISTAKES.read_text().splitlines()
    return f"mistakes.py:{next(i for i, line in enumerate(lines, 1) if text in line)}"


def test_sizes_that_differ_are_told_on_every_side():
    ran = launch(MISTAKES, "sizes")
    where = line_of("torch.ones(4 + rank")
    for outcome in ran.outcomes:
        assert outcome.ended == "raised" and outcome.exit_code == 1
        assert f"rank 0 is in all_reduce f32[4] at {where}" in outcome.error
        assert f"rank 1 is in all_reduce f32[5] at {where}" in outcome.error
        assert len(outcome.program.order) == 2  # what was learnt before is kept
    assert ran.steps[-1] == 2
    assert ranks_running() == []


def test_pieces_that_do_not_fit_are_told_before_anything_moves():
    ran = launch(MISTAKES, "pieces")
    for outcome in ran.outcomes:
        assert outcome.ended == "raised" and outcome.exit_code == 1
        assert "rank 0 is in all_to_all f32[6] sent as [2, 4], taken as [3, 3]" in outcome.error


@pytest.mark.slow
def test_a_rank_that_has_left_is_not_waited_for():
    ran = launch(MISTAKES, "leaves")
    assert ran.ended == ["raised", "finished"]
    assert (
        f"rank 0 is in all_reduce f32[4] at {line_of('all_reduce(x)')}" not in ran.outcomes[1].error
    )
    assert "rank 1 finished the script" in ran.outcomes[0].error


def test_a_killed_rank_ends_the_run_and_what_it_left_is_kept(tmp_path):
    ran = launch(MISTAKES, "killed", tmp_path / "child")
    assert ran.ended == ["interrupted", "killed"]
    assert ran.outcomes[1].exit_code == 128 + signal.SIGKILL
    for outcome in ran.outcomes:
        assert "rank 1 was killed by SIGKILL" in outcome.error and "in step 3" in outcome.error
        assert len(outcome.program.order) == 2
    assert ranks_running() == []
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(child, 0)
            time.sleep(0.1)


@pytest.mark.slow
def test_an_error_of_one_rank_is_the_error_of_the_run():
    ran = launch(MISTAKES, "raises")
    assert ran.ended == ["interrupted", "raised"]
    assert "Traceback" in ran.outcomes[1].error
    assert "rank 1 raised an error in step 3: ValueError: a mistake of rank 1" in (
        ran.outcomes[0].error
    )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "words"), [
    ("order", ["rank 0 is in all_reduce f32[4]", "rank 1 is in broadcast f32[4] root 0"]),
    ("exits", ["rank 1 exited with a status of its own in step 3"]),
    ("both receive", ["rank 0 is in recv f32[4] from 1", "rank 1 is in recv f32[4] from 0"]),
    ("message", ["rank 0 is in send f32[4] to 1", "rank 1 is in recv f32[5] from 0"]),
    ("group", ["rank 0 is in new_group of ranks [0, 1]", "rank 1 finished the script"]),
])  # fmt: skip
def test_other_mistakes_are_told_too(kind, words):
    ran = launch(MISTAKES, kind)
    assert [w for w in words if w not in ran.outcomes[0].error] == []


@pytest.mark.slow
def test_a_slow_rank_is_no_mistake_but_noticed(monkeypatch):
    monkeypatch.setattr(referee, "NOTICE_S", 1.0)
    ran = launch(MISTAKES, "slow", 4)
    assert ran.ended == ["finished", "finished"]
    assert len(ran.notices) == 1
    assert "rank 0 has waited" in ran.notices[0] and line_of("time.sleep(float") in ran.notices[0]


@pytest.mark.slow
def test_a_rank_that_hangs_ends_the_run_after_the_timeout():
    ran = launch(MISTAKES, "hangs", timeout_s=2.0)
    assert ran.ended == ["raised", "raised"]
    assert "no rank may wait longer than 2 s" in ran.outcomes[0].error
    assert line_of("time.sleep(0.01)") in ran.outcomes[1].error


@pytest.mark.slow
def test_control_c_stops_every_rank():
    threading.Timer(15, os.kill, (os.getpid(), signal.SIGINT)).start()
    ran = launch(MISTAKES, "hangs")
    assert ran.ended == ["interrupted", "interrupted"]
    assert ranks_running() == []


@pytest.mark.slow
def test_a_launcher_that_is_killed_leaves_no_rank():
    code = (
        "import sys; from pathlib import Path; from suiren.torch.distributed.launch import *;"
        "from suiren.torch.runner import How;"
        "run_devices(Path(sys.argv[1]), ['hangs'], 'toy', 2, How())"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code, str(MISTAKES)])
    time.sleep(12)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True
    ).stdout.split()
    assert len(children) == 2
    launcher.kill()
    launcher.wait()
    time.sleep(2)
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
