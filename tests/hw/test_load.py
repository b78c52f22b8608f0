"""A user's own chip: good files, bad files, and the words that say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suiren.hw.bounds import BOUNDS
from suiren.hw.catalog import CARDS
from suiren.hw.chipfile import BadChipFile
from suiren.hw.load import load_card, resolve_card
from suiren.hw.names import UnknownChip
from suiren.hw.spec import Card

WHOLE = """
title = "My chip card"
cores = 8
clock_hz = { value = 1e9, source = "my sheet", kind = "published" }
memory_bytes = 17179869184
memory_bytes_per_s = 5e11
memory_type = "HBM"
l2_bytes = 8388608
tdp_w = 75
[chip]
core_name = "core"
special_per_cycle = 8
tile_mnk = [16, 16, 16]
scratchpad_bytes = 262144
register_bytes = 65536
lacks = ["f64"]
[chip.matrix]
bf16 = 1024
[chip.vector]
fp32 = 32
[link]
ports = 4
bytes_per_s = 1e11
[printed_flop_per_s]
bf16 = 16.384e12
"""


def load(folder: Path, text: str, name: str = "mine.toml") -> Card:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return load_card(file)


def faults_of(folder: Path, text: str, name: str = "mine.toml") -> list[str]:
    with pytest.raises(BadChipFile) as caught:
        load(folder, text, name)
    assert all(fault in str(caught.value) for fault in caught.value.faults)
    return caught.value.faults


def test_a_whole_card_from_toml(tmp_path: Path) -> None:
    card = load(tmp_path, WHOLE)
    assert card.name == "mine"
    assert card.title == "My chip card"
    assert card.peak_flop_per_s("bf16") == pytest.approx(16.384e12)
    assert card.chip.lacks == {"f64"}
    assert card.chip.tile_mnk == (16, 16, 16)
    assert card.link is not None
    assert float(card.link.ports) == 4


def test_a_plain_number_is_assumed_with_the_file_as_source(tmp_path: Path) -> None:
    card = load(tmp_path, WHOLE)
    assert (card.cores.kind, card.cores.source) == ("assumed", "mine.toml")
    assert (card.clock_hz.kind, card.clock_hz.source) == ("published", "my sheet")


def test_what_a_file_leaves_out_is_filled_by_rule(tmp_path: Path) -> None:
    card = load(tmp_path, WHOLE)
    assert card.l2_bytes_per_s == 2 * card.memory_bytes_per_s
    assert card.idle_w.kind == "assumed"
    assert card.launch_s > 0


def test_based_on_inherits_everything_else(tmp_path: Path) -> None:
    base = CARDS["t21"]
    card = load(tmp_path, 'based_on = "t21"\nmemory_bytes = 68719476736\n')
    assert card.name == "mine"
    assert float(card.memory_bytes) == 64 * 2**30
    assert card.chip == base.chip
    assert card.tdp_w is base.tdp_w
    assert card.printed_flop_per_s == base.printed_flop_per_s


def test_a_nested_table_replaces_one_format(tmp_path: Path) -> None:
    card = load(tmp_path, 'based_on = "t21"\n[chip.matrix]\nbf16 = 4096\n')
    base = CARDS["t21"]
    assert float(card.chip.matrix["bf16"]) == 4096
    assert card.chip.matrix["fp32"] is base.chip.matrix["fp32"]
    assert card.peak_flop_per_s("bf16") == pytest.approx(2 * base.peak_flop_per_s("bf16"))


def test_a_printed_peak_is_not_inherited_by_another_clock(tmp_path: Path) -> None:
    card = load(tmp_path, 'based_on = "t21"\nclock_hz = 2e9\n')
    assert card.printed_flop_per_s == {}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("clock_hz = -5", "clock_hz is -5; it must lie between 1e6 and 1e10 Hz"),
        ("tdp_w = 0", "tdp_w is 0; it must lie between 0.1 and 100000 W"),
        ("matrix_efficiency = 1.5", "matrix_efficiency is 1.5; it must lie between 0.01 and 1"),
        ("clok_hz = 1e9", "clok_hz is no field of the file; did you mean clock_hz?"),
        ("chip.tile_nmk = [1, 1, 1]", "tile_nmk is no field of [chip]; did you mean tile_mnk?"),
        ("chip.matrix.bf17 = 3", "bf17 is no field of [chip.matrix]; did you mean bf16?"),
        ('cores = "many"', "cores is 'many'; it must be a number, in cores"),
        ("cores = true", "cores is True; it must be a number, in cores"),
        ("clock_hz = nan", "clock_hz is nan; it must be a number, in Hz"),
        ("clock_hz = inf", "clock_hz is inf; it must be a number, in Hz"),
        ("cores = { source = 'x' }", "cores.value is missing"),
        ("chip.tile_mnk = [1, 2]", "chip.tile_mnk is [1, 2]; it must hold 3 whole numbers"),
        ("cores = { value = 3, kind = 'sure' }", "cores.kind is 'sure'; it must be one of"),
        ("link = { ports = 4 }", "link.bytes_per_s is missing"),
        ("title = 3", "title is 3; it must be a valid string"),
        ("idle_w = 900", "idle_w 900 W exceeds tdp_w 400 W"),
        ("printed_flop_per_s.bf16 = 3e12", "but the printed peak is 3 TFLOP/s"),
    ],
)
def test_a_bad_field_is_named_with_its_range(tmp_path: Path, line: str, sentence: str) -> None:
    faults = faults_of(tmp_path, f'based_on = "t21"\n{line}\n')
    assert len(faults) == 1
    assert sentence in faults[0]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, 'based_on = "t21"\nclock_hz = -5\ncors = 3\ntdp_w = "x"\n')
    assert sorted(fault.split()[0] for fault in faults) == ["clock_hz", "cors", "tdp_w"]


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    short = WHOLE.replace("cores = 8", "").replace("tile_mnk = [16, 16, 16]", "")
    assert faults_of(tmp_path, short) == [
        "cores, chip.tile_mnk are missing; give them, or inherit them with based_on"
    ]
    (fault,) = faults_of(tmp_path, WHOLE.replace("cores = 8", ""))
    assert fault == "cores is missing; give it, or inherit it with based_on"


def test_a_syntax_error_tells_the_line(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, 'based_on = "t21"\nclock_hz = = 3\n')
    assert "line 2" in fault
    (fault,) = faults_of(tmp_path, 'based_on = "t21"\nclock_hz = [')
    assert "line 2" in fault


def test_an_unknown_base_names_the_nearest(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, 'based_on = "t22"')
    assert "t21" in fault


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadChipFile, match="no such file"):
        resolve_card(str(tmp_path / "gone.toml"))


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadChipFile, match="UTF-8"):
        load_card(file)


PYTHON = """
from dataclasses import replace
from suiren.hw.catalog import CARDS
CARD = replace(CARDS["t21"], name="mine")
"""


def test_a_card_from_python(tmp_path: Path) -> None:
    assert load(tmp_path, PYTHON, "mine.py").name == "mine"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it defines no CARD, a suiren.hw.spec.Card"),
        ("CARD = 3", "CARD is int"),
        ("1 / 0", "ZeroDivisionError"),
        ("CARD = = 3", "SyntaxError"),
        (PYTHON + "CARD = replace(CARD, tdp_w=CARD.tdp_w.at(1))", "exceeds tdp_w 1 W"),
    ],
)
def test_a_bad_python_file(tmp_path: Path, text: str, sentence: str) -> None:
    faults = faults_of(tmp_path, text, "mine.py")
    assert sentence in faults[0]


def test_resolve_takes_names_and_paths(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('based_on = "t20"\n')
    assert resolve_card("T20") is CARDS["t20"]
    assert resolve_card(str(tmp_path / "mine.toml")).chip is CARDS["t20"].chip
    with pytest.raises(UnknownChip):
        resolve_card("t2000")


PLAIN = sorted(
    set(BOUNDS)
    & {"memory_bytes", "memory_bytes_per_s", "host_bytes_per_s", "l2_bytes", "launch_s", "clock_hz"}
)
QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUIET
@given(name=st.sampled_from(PLAIN), share=st.floats(0.001, 1))
def test_any_number_within_its_range_is_taken(tmp_path: Path, name: str, share: float) -> None:
    bound = BOUNDS[name]
    value = bound.least + share * (bound.most - bound.least)
    card = load(tmp_path, f'based_on = "toy"\n{name} = {value!r}\n')
    assert getattr(card, name) == value


@QUIET
@given(name=st.sampled_from(PLAIN), excess=st.floats(1.01, 1e3))
def test_any_number_outside_its_range_is_refused(tmp_path: Path, name: str, excess: float) -> None:
    value = BOUNDS[name].most * excess
    (fault,) = faults_of(tmp_path, f'based_on = "toy"\n{name} = {value!r}\n')
    assert fault.startswith(f"{name} is ")
    assert BOUNDS[name].unit in fault


@QUIET
@given(text=st.text(alphabet='abc=[]{}"\n.3-', max_size=60))
def test_no_text_escapes_as_another_exception(tmp_path: Path, text: str) -> None:
    faults_of(tmp_path, text)
