"""`suiren runs` and `suiren diff` on a terminal and as JSON, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suiren.cli import suiren as commands
from suiren.history.store import History

GOODPUT = ("goodput", "--chips", "64", "--step-s", "1", "--checkpoint-bytes", "1GB", "--days", "2",
           "--every", "60", "--runs", "1")  # fmt: skip
STEP = ("step", "gpt3-175b", "--on", "dgx-a100*8", "--tp", "8", "--pp", "8")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of a goodput and two steps."""
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    for arguments in (GOODPUT, (*STEP, "--global-batch", "8"), (*STEP, "--global-batch", "16")):
        done = CliRunner(env={"SUIREN_HISTORY": str(path)}).invoke(
            commands, arguments, obj=list(arguments)
        )
        assert done.exit_code == 0, done.output
    return path


@pytest.fixture
def ask(store: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Runs a command on a copy of the history."""
    copied = tmp_path / "history.sqlite"
    for record in reversed(History(store).records()):
        History(copied).add(record.kind, record.title, History(store).document(record),
                            facts=record.facts)  # fmt: skip

    def invoke(*arguments: str) -> Result:
        return CliRunner(env={"SUIREN_HISTORY": str(copied)}).invoke(commands, arguments)

    return invoke


def test_runs_lists_the_newest_first(ask) -> None:  # type: ignore[no-untyped-def]
    rows = [line.split()[:2] for line in ask("runs").stdout.splitlines()]
    assert rows == [["id", "kind"], ["r3", "step"], ["r2", "step"], ["r1", "goodput"]]
    assert [r["id"] for r in json.loads(ask("runs", "--json", "--kind", "step").stdout)] == [
        "r3", "r2",
    ]  # fmt: skip
    assert "holds no plan" in ask("runs", "--kind", "plan").stderr


def test_show_tells_how_it_was_asked_and_its_figures(ask) -> None:  # type: ignore[no-untyped-def]
    text = ask("runs", "show", "last").stdout
    for part in ("r3  step  gpt3-175b", "suiren step gpt3-175b --on 'dgx-a100*8'", "suiren 0.",
                 "MFU", "tokens a second"):  # fmt: skip
        assert part in text
    whole = json.loads(ask("runs", "show", "r2", "--json").stdout)
    assert whole["layout"]["global_batch"] == 8


def test_tags_removal_and_export(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert ask("runs", "tag", "r2", "small").exit_code == 0
    file = tmp_path / "small.json"
    assert ask("runs", "export", "small", str(file)).exit_code == 0
    assert json.loads(file.read_text())["record"]["id"] == "r2"
    assert "equal" in ask("diff", str(file), "small").stdout
    assert ask("runs", "remove", "small", "last").stderr == "removed r2, r3\n"
    assert [r["id"] for r in json.loads(ask("runs", "--json").stdout)] == ["r1"]


def test_diff_tells_signs_and_sums(ask, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "diff.json"
    done = ask("diff", "last~1", "last", "--json", str(file))
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "step: r2 gpt3-175b on dgx-a100*8 → r3 gpt3-175b on dgx-a100*8" in lines
    assert any(line.startswith("= step time ") and " +" in line for line in lines)
    assert "layout: global_batch 8 16" in lines
    told = json.loads(file.read_text())
    table = next(t for t in told["tables"] if t["title"] == "where the step goes")
    assert abs(sum(r["change"] for r in table["rows"]) - table["whole"]["change"]) < 1e-9


@pytest.mark.parametrize(("arguments", "told"), [
    (("runs", "show", "lost"), "no record is called 'lost'"),
    (("runs", "--kind", "walk"), "no record is a 'walk'; kinds are run, ranks"),
    (("runs", "tag", "last", "r9"), "'r9' cannot be a tag"),
    (("runs", "remove", "last~9"), "no record is called 'last~9'"),
    (("runs", "export", "last", "FILE", "--part", "trace"), "r3 has no part 'trace'"),
    (("diff", "last", "r1"), "only answers of one kind"),
    (("diff", "last", "missing.json"), "missing.json cannot be read"),
    (("diff", "last", "nobody"), "no record is called 'nobody'"),
])  # fmt: skip
def test_a_mistake_is_one_sentence(ask, tmp_path: Path, arguments, told: str) -> None:  # type: ignore[no-untyped-def]
    arguments = [str(tmp_path / "f") if a == "FILE" else a for a in arguments]
    done = ask(*arguments)
    assert done.exit_code == 2 and told in " ".join(done.stderr.split())
    assert "Traceback" not in done.output and done.stdout == ""


def test_a_corrupt_history_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"no database" * 999)
    runner = CliRunner(env={"SUIREN_HISTORY": str(path)})
    for arguments in (("runs",), ("diff", "last~1", "last")):
        done = runner.invoke(commands, arguments)
        assert done.exit_code == 2 and "move the file away" in " ".join(done.stderr.split())
    done = runner.invoke(commands, GOODPUT)
    assert done.exit_code == 0 and "not kept: the history at" in done.stderr
