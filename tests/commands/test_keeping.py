"""What commands answer is kept, with how it was asked, and nothing where that is not wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suiren.cli import suiren as commands
from suiren.history.store import History

STEP = ("step", "gpt3-175b", "--on", "dgx-a100*8", "--tp", "8", "--pp", "8", "--global-batch", "8")
GOODPUT = ("goodput", "--chips", "64", "--step-s", "1", "--checkpoint-bytes", "1GB", "--days", "2",
           "--every", "60", "--runs", "1")  # fmt: skip


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "history.sqlite"))
    return History()


def here(*arguments: str) -> Result:
    """The command in this process."""
    done = CliRunner().invoke(commands, arguments, obj=list(arguments))
    assert done.exit_code == 0, done.output
    return done


def test_each_command_is_kept_under_its_kind(history: History) -> None:
    here(*STEP)
    here(*GOODPUT)
    rows = Path(__file__).parents[2] / "data" / "measured" / "kernel_deepbench.csv.gz"
    here("validate", str(rows), "--sample", "3", "--processes", "1")
    kinds = [(r.kind, r.title) for r in history.records()]
    assert kinds == [("validation", rows.name), ("goodput", "64 chips"), ("step", "gpt3-175b")]
    kept = history.document(history.find("last"))
    assert len(kept["points"]) == kept["predicted"] > 0
    assert all(p["predicted_s"] > 0 < p["measured_s"] for p in kept["points"])


def test_nothing_is_kept_where_that_is_not_wanted(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(*GOODPUT, "--no-history")
    assert history.records() == []
    monkeypatch.setenv("SUIREN_HISTORY", "")
    assert "not kept" not in here(*GOODPUT).output


def test_a_store_that_cannot_be_written_is_one_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "file" / "history.sqlite"))
    done = here(*GOODPUT)
    assert done.stderr.count("not kept: the history at") == 1
    assert "goodput" in done.stdout
