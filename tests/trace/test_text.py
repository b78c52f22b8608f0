"""A program as text: printed, parsed, saved, and refused in one sentence where it is damaged."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from any_program import EXAMPLE, programs, same
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.trace.program import Context, Kind, Label, Program
from suiren.trace.text import TraceError, load_program, parse_program, print_program, save_program

LAW = settings(derandomize=True, deadline=None, max_examples=60)


def text_of(program: Program) -> str:
    return "\n".join(print_program(program)) + "\n"


@LAW
@given(program=programs())
def test_a_printed_program_parses_back(program: Program) -> None:
    assert same(parse_program(text_of(program)), program)
    assert text_of(parse_program(text_of(program))) == text_of(program)


def test_the_documented_example_reads_as_it_says() -> None:
    program = parse_program(EXAMPLE)
    assert program.facts == {"script": "train.py"}
    assert program.contexts == [Context("forward", "GPT.h.0.attn"), Context("backward", "")]
    assert [call.op for call in program.calls] == ["aten::mm"]
    assert program.labels == {17: Label("optimizer state", "GPT.wte.weight.exp_avg")}
    assert program.order == [0, 1, 1]
    kinds = [Kind(k).name for k in program.distinct[0].events["kind"]]
    assert kinds == ["ALLOC", "OP", "FREE", "SYNC"]
    assert program.distinct[0].storages_of(1).tolist() == [4, 5, 17]
    assert program.distinct[0].num_ops == 1
    assert program.distinct[0].live["bytes"].tolist() == [512]
    assert len(program.rest.events) == 1


def test_storages_of_an_op_end_where_those_of_the_next_begin() -> None:
    step = parse_program(EXAMPLE).distinct[1]
    ops = [i for i, row in enumerate(step.events) if row["kind"] == Kind.OP]
    assert [step.storages_of(i).tolist() for i in ops] == [[1, 2, 3], [4, 4, 6], [9, 9, 9]]


@LAW
@given(program=programs())
def test_saving_twice_writes_equal_bytes(program: Program, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("saved")
    save_program(program, folder / "a.gz")
    save_program(program, folder / "b.gz")
    assert (folder / "a.gz").read_bytes() == (folder / "b.gz").read_bytes()
    assert same(load_program(folder / "a.gz"), program)


def test_a_plain_trace_loads_as_well_as_a_compressed_one(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text(EXAMPLE)
    assert same(load_program(tmp_path / "plain.txt"), parse_program(EXAMPLE))


def refused(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        load_program(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "there is no trace at" in refused(tmp_path / "none.gz")
    refused(tmp_path)


def test_foreign_files_are_no_traces(tmp_path: Path) -> None:
    for name, data in {
        "empty": b"",
        "words": b"hello\nworld\n",
        "binary": bytes(range(256)),
        "archive": gzip.compress(b"hello"),
        "newer": EXAMPLE.replace("suiren-trace 1", "suiren-trace 2").encode(),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert "trace" in refused(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_archive_is_refused(tmp_path: Path, share: float) -> None:
    whole = gzip.compress((EXAMPLE * 20).encode())
    (tmp_path / "cut.gz").write_bytes(whole[: int(len(whole) * share)])
    refused(tmp_path / "cut.gz")


def test_what_is_wrong_with_an_archive_is_told_in_plain_words(tmp_path: Path) -> None:
    file, data = tmp_path / "bad.gz", gzip.compress(EXAMPLE.encode(), mtime=0)
    for found, sentence in (
        (data[: len(data) // 2], "ends in the middle: it was cut off"),
        (data[:-6] + b"1234" + data[-2:], "is damaged: it cannot be decompressed"),
        (data[:12] + bytes(20) + data[32:], "is damaged: it cannot be decompressed"),
        (b"\xf3\x00\xff", "is not a Suiren trace: it holds no text"),
    ):
        file.write_bytes(found)
        assert sentence in refused(file)


@pytest.mark.parametrize("at", [3, 12, 40, -6, -2])
def test_a_flipped_byte_in_an_archive_is_found_or_harmless(tmp_path: Path, at: int) -> None:
    data = bytearray(gzip.compress(EXAMPLE.encode(), mtime=0))
    data[at] ^= 0x5A
    (tmp_path / "bad.gz").write_bytes(data)
    try:
        assert same(load_program(tmp_path / "bad.gz"), parse_program(EXAMPLE))
    except TraceError as error:
        assert "bad.gz" in str(error)


@pytest.mark.parametrize("num_lines", range(1, len(EXAMPLE.splitlines())))
def test_a_text_that_was_cut_after_any_line_is_refused(num_lines: int) -> None:
    cut = "\n".join(EXAMPLE.splitlines()[:num_lines]) + "\n"
    with pytest.raises(TraceError, match=r"cut|middle"):
        parse_program(cut)


DAMAGE = [
    ("op 0 0 0 4 5 17", "op 9 0 0 4 5 17"),
    ("op 0 0 0 4 5 17", "op 0 7 0 4 5 17"),
    ("op 0 0 0 4 5 17", "op 0 0 x"),
    ("alloc 17 3072 0 0", "alloc 17 3072 0"),
    ("alloc 17 3072 0 0", "aloc 17 3072 0 0"),
    ("live 4 512 1", "live 4 512"),
    ("order 0 1 1", "order 0 1 2"),
    ("order 0 1 1", "order 0 one"),
    ("context 1 backward ", "context 1 sideways "),
    ("call 0 aten::mm", "call 0 aten::mm("),
    ('facts {"script": "train.py"}', "facts {"),
    ("label 17 optimizer_state", "label x optimizer_state"),
]  # fmt: skip
SUBTLE = [
    ("op 0 0 0 4 5 17", "op -1 0 0 4 5 17"),
    ("op 0 0 0 4 5 17", "op 0 0 0 99999999999"),
    ("alloc 17 3072 0 0", "alloc 17 3072 55 0"),
    ("alloc 17 3072 0 0", "alloc 99999999999 3072 0 0"),
    ("enter 0 1 0 0", "enter 5 1 0 0"),
    ("enter 0 1 0 0", "enter 0 1 9 0"),
    ("order 0 1 1", "order 0 1 -1"),
    ('facts {"script": "train.py"}', "facts [1]"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "by"), [*DAMAGE, *SUBTLE])
def test_a_damaged_line_is_named(line: str, by: str) -> None:
    assert line in EXAMPLE
    damaged = EXAMPLE.replace(line, by, 1)
    with pytest.raises(TraceError, match="trace, line") as caught:
        parse_program(damaged)
    number = next(i for i, text in enumerate(damaged.splitlines(), 1) if by in text)
    assert f"line {number}:" in str(caught.value)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(at=st.integers(0, len(EXAMPLE) - 1), junk=st.sampled_from(list('0 9-x\n"[]')))
def test_any_single_damage_is_a_trace_error_or_a_program(at: int, junk: str) -> None:
    for damaged in (EXAMPLE[:at], EXAMPLE[:at] + junk + EXAMPLE[at + 1 :]):
        try:
            parse_program(damaged)
        except TraceError as error:
            assert str(error)
