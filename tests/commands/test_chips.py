"""`suiren chips`: the catalogue, one card, several; a user's mistake is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from suiren import __version__
from suiren.cli import main, suiren
from suiren.hw.catalog import CARDS


def told(*arguments: str) -> Result:
    return CliRunner().invoke(suiren, arguments)


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The words of a mistake, told the way a user sees it: exit code 2, no traceback."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    words = capsys.readouterr().err
    assert "Traceback" not in words
    return " ".join(words.split())


def test_the_catalogue_lists_every_card() -> None:
    found = told("chips")
    assert found.exit_code == 0
    assert all(name in found.output for name in CARDS)


def test_one_card_is_shown_with_its_sources() -> None:
    found = told("chips", "t21")
    assert found.exit_code == 0
    for part in ("T21", "memory_bytes", "clock_hz", "assumed"):
        assert part in found.output


def test_several_cards_stand_side_by_side() -> None:
    found = told("chips", "compare", "t21", "a100", "h100")
    assert found.exit_code == 0
    header = next(line for line in found.output.splitlines() if "t21" in line.lower())
    assert "a100" in header.lower()
    assert "h100" in header.lower()
    assert "TDP" in found.output


def test_a_users_own_card_is_shown_too(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('based_on = "t21"\ntitle = "Mine"\nmemory_bytes = 1e9\n')
    found = told("chips", str(tmp_path / "mine.toml"))
    assert found.exit_code == 0
    assert "Mine" in found.output


@pytest.mark.parametrize(("typed", "meant"), [("t2l", "t21"), ("h1000", "h100"), ("A10O", "a100")])
def test_an_unknown_chip_brings_the_nearest_names(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    words = mistake(capsys, "chips", typed)
    assert typed in words
    assert meant in words


def test_comparing_needs_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert "at least two" in mistake(capsys, "chips", "compare", "t21")
    assert "nonesuch" in mistake(capsys, "chips", "compare", "t21", "nonesuch")


def test_an_unsound_chip_file_is_told_field_by_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('based_on = "t21"\nclock_hz = 1.4\ncolour = "red"\n')
    words = mistake(capsys, "chips", str(bad))
    assert "clock_hz is 1.4" in words
    assert "colour is no field" in words
    bad.write_text("based_on = \n")
    assert "not TOML" in mistake(capsys, "chips", str(bad))
    assert "no such file" in mistake(capsys, "chips", str(tmp_path / "none.toml"))


def test_a_folder_is_no_chip_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "chip.toml"
    folder.mkdir()
    mistake(capsys, "chips", str(folder))


def test_the_version_and_the_help() -> None:
    assert __version__ in told("--version").output
    for arguments in (["--help"], ["run", "-h"], ["replay", "-h"], ["chips", "-h"]):
        found = told(*arguments)
        assert found.exit_code == 0
        assert "Usage" in found.output


def test_an_unknown_command_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ship" in mistake(capsys, "ship")
