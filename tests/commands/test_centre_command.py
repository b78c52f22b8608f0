"""`suiren centre`: what it prints, writes, keeps and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suiren.cli import suiren as commands
from suiren.history.store import History

FILE = """
title = "{title}"
currency = "{currency}"
[machines]
name = "{name}"
nodes = 8
[prices]
node = 4e5
[[job]]
steps = 1e4
step_s = 10
step_cards = 64
card_w = 200
checkpoint_bytes = 1e11
[goal]
days = 2
"""


def written(
    folder: Path, title: str = "mine", currency: str = "CNY", name: str = "t20x8"
) -> str:
    path = folder / f"{title}.toml"
    path.write_text(FILE.format(title=title, currency=currency, name=name), encoding="utf-8")
    return str(path)


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["centre", *arguments], obj=list(arguments))


def test_one_file_is_answered_written_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUIREN_HISTORY", str(tmp_path / "history.sqlite"))
    page, told = tmp_path / "mine.html", tmp_path / "mine.json"
    done = ran("--page", str(page), written(tmp_path), "--json", str(told))
    assert done.exit_code == 0, done.output
    assert "It works" in done.output and "1.2 days, asked 2.0 days" in done.output
    found = json.loads(told.read_text())
    assert found["kind"] == "centre" and len(found["centres"]) == 1
    assert page.read_text().startswith("<!doctype html>")
    kept = History().find("last")
    assert (kept.kind, kept.title) == ("centre", "mine")
    assert (kept.card, kept.step_s) == ("Enflame CloudBlazer T20", 10)
    assert History().document(kept) == found


def test_two_files_are_compared_in_chinese(tmp_path: Path) -> None:
    files = written(tmp_path, "one"), written(tmp_path, "two", name="t21x8")
    done = ran("compare", *files, "--lang", "zh", "--no-history")
    assert done.exit_code == 0, done.output
    assert "并列对比" in done.output and "one" in done.output and "two" in done.output


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    yuan, dollars = written(tmp_path, "yuan"), written(tmp_path, "dollars", "USD")
    for arguments, sentence in (
        (["nowhere.toml"], "nowhere.toml: there is no such file"),
        ([str(tmp_path)], f"{tmp_path}: there is no such file"),
        (["compare", yuan], "compare takes 2 to 4 centre files, not 1"),
        (["compare", yuan, dollars], "the centres count in CNY and USD; write all prices in one"),
        ([written(tmp_path, "odd", name="nothing")], "no cluster, node or card is called"),
        ([yuan, "--page", str(tmp_path / "no" / "page.html")], "cannot be written"),
    ):
        done = ran(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert sentence in " ".join(done.output.split()), done.output
        assert "Traceback" not in done.output
