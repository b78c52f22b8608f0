"""`suiren kernel`: what it tells of a sound kernel, and one clear sentence for every mistake."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from suiren.cli import main

COPY = """
import suiren

@suiren.kernel("x T[R,C] -> y T[R,C]", R=4096, C=256, T="bf16")
def double(core, x, y, rows=16, buffers=2, twice=False):
    near = core.scratchpad((rows, x.shape[1]), x.dtype, buffers)
    out = core.scratchpad((rows, x.shape[1]), y.dtype, buffers)
    for r in core.grid((x.shape[0], rows)):
        core.load(near, x[r, :])
        core.wait(near)
        core.acquire(out)
        core.mul(out, near, 4 if twice else 2)
        core.release(near)
        core.store(y[r, :], out)
"""
RACE = COPY.replace("        core.wait(near)\n", "").replace(
    "        core.release(near)\n", "        core.wait(near)\n        core.release(near)\n"
)
DEADLOCK = COPY.replace("        core.release(near)\n", "")
#: The inner loop starts a load that nothing takes back.
UNEVEN = (
    COPY.replace("buffers=2,", "buffers=4,")
    .replace("R=4096", "R=16")
    .replace(
        "        core.load(near, x[r, :])\n",
        "        for _ in core.loop(2):\n            core.load(near, x[r, :])\n",
    )
)
OVERLAP = COPY.replace("core.store(y[r, :]", "core.store(y[r * 0, :]")
NO_GRID = """
import suiren

@suiren.kernel("x f32[R] -> y f32[R]", R=64)
def idle(core, x, y):
    pass
"""
TWO_GRIDS = COPY.replace(
    "    for r in core",
    "    for part in range(2):\n      if part: core.barrier()\n      for r in core",
).replace("\n        core.", "\n          core.")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(text: str, name: str = "mine.py") -> None:
    Path(name).write_text(text, encoding="utf-8")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a run without mistakes prints."""
    with pytest.raises(SystemExit) as stopped:
        main(["kernel", *arguments])
    said = capsys.readouterr()
    assert stopped.value.code == 0, said.err
    assert said.err == ""
    return said.out


def mistake(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The words of a mistake, however they were wrapped."""
    with pytest.raises(SystemExit) as stopped:
        main(["kernel", *arguments])
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert "Traceback" not in said.err
    _, error, words = said.err.partition("Error: ")
    assert error
    return " ".join(words.split())


@pytest.mark.usefixtures("folder")
class TestASoundKernel:
    def test_its_time_its_bound_and_its_roofline_are_told(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(COPY)
        out = told(capsys, "mine.py", "--on", "t21")
        assert "double on Enflame CloudBlazer T21: x bf16[4096, 256], y bf16[4096, 256]" in out
        for words in ("with launch", "bound by", "% of the attainable roofline", "busy:",
                      "scratchpad 32.00 KiB of 512.00 KiB", "waves", "mJ beyond idle"):  # fmt: skip
            assert words in out

    def test_sizes_formats_and_options_are_set_by_name(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(COPY)
        settings = ("R=64", "C=32", "T=f32", "rows=32", "buffers=3", "twice=true")
        out = told(capsys, "mine.py", "--on", "a100", *(a for s in settings for a in ("--set", s)))
        assert "x f32[64, 32]" in out
        assert "scratchpad 24.00 KiB" in out
        assert "1 wave;" in out

    def test_a_picture_has_a_line_for_every_engine_at_work(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(COPY)
        out = told(capsys, "mine.py", "--on", "t21", "--show")
        assert [line.split()[0] for line in out.splitlines() if "█" in line] == [
            "load", "vector", "store",
        ]  # fmt: skip

    def test_every_grid_is_drawn(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(TWO_GRIDS)
        out = told(capsys, "mine.py", "--on", "t21", "--show")
        assert "in grid 1 of 2" in out and "in grid 2 of 2" in out

    def test_the_svg_is_sound_and_names_lines(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(COPY)
        told(capsys, "mine.py", "--on", "t21", "--svg", "a.svg")
        text = Path("a.svg").read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert "mine.py:12: core.mul(out, near, 4 if twice else 2)" in text

    def test_emulation_tells_of_lost_numbers(self, capsys: pytest.CaptureFixture[str]) -> None:
        write(COPY)
        out = told(capsys, "mine.py", "--on", "t21", "--emulate", "--set", "R=64")
        assert "y has 16,384 numbers, none of them NaN" in out
        write(COPY.replace("4 if twice else 2", "float('nan')"))
        out = told(capsys, "mine.py", "--on", "t21", "--emulate", "--set", "R=64")
        assert "16,384 of them NaN" in out

    def test_a_file_may_be_named_like_a_module_and_import_its_neighbours(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delitem(sys.modules, "neighbour_of_json", raising=False)
        write("ROWS = 8\n", "neighbour_of_json.py")
        write(
            "from neighbour_of_json import ROWS\n" + COPY.replace("rows=16", "rows=ROWS"), "json.py"
        )
        before = sys.modules.get("json")
        assert "double on" in told(capsys, "json.py", "--on", "t21")
        assert sys.modules.get("json") is before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("text", "words"), [
    (RACE, "race: mine.py:11: core.mul(out, near, 4 if twice else 2) reads a tile that this load "
           "may still be filling: mine.py:9: core.load(near, x[r, :]) wait for the tile"),
    (DEADLOCK, "mine.py:10: core.wait(near) waits for the next load while the tile still holds"),
    (DEADLOCK.replace("core.wait(near)", "pass").replace("near, 4", "3, 4"),
     "waits for ever: all 2 buffers of the tile of mine.py:6"),
    (UNEVEN, "takes slots that it does not give back"),
    (COPY.replace("core.mul(", "core.multiply("), "no instruction 'multiply'"),
    (COPY.replace("x.shape[1]), x.dtype", "x.shape[1] + 1), x.dtype"),
     "the piece of x is [16, 256], but the tile is [16, 257]"),
    (COPY.replace("x.shape[0]", "x.shape[7]"), "IndexError in mine.py:8: for r in core.grid("),
    (NO_GRID, "idle has no grid"),
    (COPY.replace(" -> y T[R,C]", ""), "names no result"),
    ("import suiren\n", "mine.py defines no kernel"),
    ("def broken(:\n", "running it raised SyntaxError"),
    ("import nowhere_to_be_found\n", "raised ModuleNotFoundError in mine.py:1"),
    ("raise SystemExit('later')\n", "running it raised SystemExit"),
])  # fmt: skip
def test_a_mistake_in_the_file_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    write(text)
    assert words in mistake(capsys, "mine.py", "--on", "t21")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("arguments", "words"), [
    (["mine.py", "--on", "t2l"], "t21"),
    (["mine.py", "--on", "s60"], "no peak of"),
    (["mine.py", "--on", "none.toml"], "there is no such file"),
    (["mine.py"], "--on"),
    (["yours.py", "--on", "t21"], "yours.py: there is no such file"),
    ([".", "--on", "t21"], ".: there is no such file"),
    (["notes.txt", "--on", "t21"], "notes.txt is not a Python file"),
    (["mine.py", "--on", "t21", "--name", "triple"], "has no kernel 'triple'; it has double"),
    (["mine.py", "--on", "t21", "--speed"], "--speed"),
    (["mine.py", "--on", "t21", "--set", "rows"], "write NAME=VALUE, as in M=4096"),
    (["mine.py", "--on", "t21", "--set", "=4"], "write NAME=VALUE"),
    (["mine.py", "--on", "t21", "--set", "rows="], "write NAME=VALUE"),
    (["mine.py", "--on", "t21", "--set", "row=4"], "double takes no 'row' (did you mean 'rows'?)"),
    (["mine.py", "--on", "t21", "--set", "R=0"], "the size R is 0; a whole number is needed"),
    (["mine.py", "--on", "t21", "--set", "R=-8"], "the size R is -8"),
    (["mine.py", "--on", "t21", "--set", "R=many"], "the size R is 'many'"),
    (["mine.py", "--on", "t21", "--set", "R=1.5"], "the size R is '1.5'"),
    (["mine.py", "--on", "t21", "--set", "T=bf17"], "the format T is 'bf17'; one of"),
    (["mine.py", "--on", "t21", "--set", "rows=many"], "TypeError in mine.py:6: near = core."),
    (["mine.py", "--on", "t21", "--set", "rows=0"], "sizes and buffers of at least 1"),
    (["mine.py", "--on", "t21", "--set", "rows=4096"],
     "tiles need 8.00 MiB of scratchpad, but a SIP of Enflame CloudBlazer T21 has 512.00 KiB"),
    (["mine.py", "--on", "t21", "--svg", "no/such/folder/a.svg"], "cannot be written"),
    (["mine.py", "--on", "t21", "--emulate", "--set", "R=1000000"], "64 MiB are the most"),
    (["two.py", "--on", "t21", "--svg", "a.svg"], "choose it with --name: double, double"),
])  # fmt: skip
def test_a_mistake_on_the_command_line_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    write(COPY)
    write(COPY + COPY.replace("double", "double2"), "two.py")
    write("no kernels here", "notes.txt")
    assert words in mistake(capsys, *arguments)


@pytest.mark.usefixtures("folder")
def test_a_name_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    write(COPY)
    words = mistake(capsys, "mine.py", "--on", "t21", "--set", "rows=4096")
    assert words.count("double") == 1


@pytest.mark.usefixtures("folder")
def test_stores_that_overlap_show_when_it_is_emulated(capsys: pytest.CaptureFixture[str]) -> None:
    write(OVERLAP)
    words = mistake(capsys, "mine.py", "--on", "t21", "--emulate", "--set", "R=64")
    assert "stores to a part of y that this store also writes" in words
