"""What can be known to be wrong is said before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from suiren_runs import TRAIN, script

from suiren.cli import main

LEAVES_A_MARK = "open('ran', 'w').close()\n" + TRAIN


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    script(tmp_path, LEAVES_A_MARK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mistake(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(["run", *arguments])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert not (folder / "ran").exists()
    return " ".join(said.err.split())


def test_a_missing_script_brings_the_nearest_name(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    words = mistake(capsys, folder, "trian.py")
    assert "no script 'trian.py'" in words
    assert "train.py?" in words


def test_a_folder_is_no_script(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "scripts").mkdir()
    assert "no script 'scripts'" in mistake(capsys, folder, "scripts")


def test_an_unknown_chip_brings_the_nearest_names(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert "t21" in mistake(capsys, folder, "train.py", "--on", "t2l")


def test_an_unsound_chip_file_is_told_field_by_field(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "bad.toml").write_text('based_on = "t21"\ncores = 0\ntdp_w = "much"\n')
    words = mistake(capsys, folder, "train.py", "--on", "bad.toml")
    assert "cores is 0" in words
    assert "tdp_w is 'much'" in words


@pytest.mark.parametrize("size", ["nonsense", "0", "-3GiB", "64 apples", "GiB", ""])
def test_a_capacity_that_is_none(
    capsys: pytest.CaptureFixture[str], folder: Path, size: str
) -> None:
    words = mistake(capsys, folder, "train.py", f"--memory={size}")
    assert "--memory" in words
    assert "64GiB" in words


def test_a_card_without_memory_trains_nothing(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    words = mistake(capsys, folder, "train.py", "--on", "hanguang800")
    assert "has no device memory (0 bytes)" in words
    assert "--memory 16GiB" in words


@pytest.mark.parametrize("option", ["--json", "--trace", "--report", "--save-trace"])
def test_a_result_that_could_not_be_written(
    capsys: pytest.CaptureFixture[str], folder: Path, option: str
) -> None:
    words = mistake(capsys, folder, "train.py", option, "no/such/folder/file")
    assert "cannot be written" in words
    assert "nothing was run" in words


def test_trying_a_path_leaves_no_file_behind(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    mistake(capsys, folder, "train.py", "--json", "a.json", "--report", "no/folder/b.html")
    assert not (folder / "a.json").exists()


def test_a_result_that_exists_is_not_emptied(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "a.json").write_text("mine")
    mistake(capsys, folder, "train.py", "--json", "a.json", "--memory", "nonsense")
    assert (folder / "a.json").read_text() == "mine"


@pytest.mark.parametrize("arguments", [
    ["train.py", "--max-steps", "0"], ["train.py", "--tf32", "maybe"],
    ["train.py", "--seed", "x"], [],
])  # fmt: skip
def test_an_option_that_makes_no_sense(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: list[str]
) -> None:
    mistake(capsys, folder, *arguments)
