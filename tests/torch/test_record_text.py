"""The record's text: calls and programs print and read back, and what is no text is refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from device_helpers import cases
from hypothesis import given
from hypothesis import strategies as st

from suiren.torch import _shim
from suiren.trace.call import FLOAT, Call, CallSyntaxError, Tensor, parse_call
from suiren.trace.program import Context, Program, Step
from suiren.trace.text import TraceError, load_program, parse_program, print_program, save_program

# ---- calls as text


def test_every_recorded_signature_reads_back_as_it_was_printed(every_step):
    lines = _shim.signatures(0)
    assert len(lines) > 20
    for line in lines:
        assert str(parse_call(line)) == line


SIGNATURES = {
    "a product of a transposed view": (
        lambda: torch.ones(3, 4, device="gcu") @ torch.ones(5, 4, device="gcu").t(),
        "aten::mm(self=f32[3,4],mat2=f32[4,5]{1,4})->(f32[3,5])",
    ),
    "a host scalar": (
        lambda: torch.ones(2, device="gcu", dtype=torch.bfloat16) * torch.tensor(2.0),
        "aten::mul.Tensor(self=bf16[2],other=cpu:f32[])->(bf16[2])",
    ),
    "a string": (
        lambda: torch.div(
            torch.ones(2, device="gcu"), torch.ones(2, device="gcu"), rounding_mode="floor"
        ),
        'aten::div.Tensor_mode(self=f32[2],other=f32[2],rounding_mode="floor")->(f32[2])',
    ),
    "a list of tensors": (
        lambda: torch.cat([torch.ones(2, device="gcu"), torch.ones(3, device="gcu")]),
        "aten::cat(tensors=[f32[2],f32[3]],dim=0)->(f32[5])",
    ),
    "two answers": (
        lambda: torch.ones(2, 3, device="gcu").max(1),
        "aten::max.dim(self=f32[2,3],dim=1,keepdim=false)->(f32[2],i64[2])",
    ),
    "indices": (
        lambda: torch.ones(4, 3, device="gcu")[:, torch.tensor([0, 2], device="gcu")],
        "aten::index.Tensor(self=f32[4,3],indices=[none,i64[2]])->(f32[4,2])",
    ),
}


@pytest.mark.parametrize(("work", "line"), cases(SIGNATURES))
def test_a_call_prints_with_its_shapes_strides_and_formats(work, line):
    work()
    assert line in _shim.signatures(0)


def test_tf32_products_say_so():
    torch.set_float32_matmul_precision("high")
    torch.ones(7, 3, device="gcu") @ torch.ones(3, 7, device="gcu")
    line = 'aten::mm(self=f32[7,3],mat2=f32[3,7],math="tf32")->(f32[7,7])'
    assert line in _shim.signatures(0)


_dims = st.lists(st.integers(0, 2**40), max_size=5).map(tuple)


@st.composite
def _tensors(draw):
    shape = draw(_dims)
    same_rank = st.lists(st.integers(0, 2**40), min_size=len(shape), max_size=len(shape))
    strides = draw(st.none() | same_rank.map(tuple)) if shape else None
    dtype = draw(st.sampled_from(["f32", "bf16", "f8e4m3", "i64", "b8", "c64", "QInt8"]))
    return Tensor(dtype, shape, strides, draw(st.booleans()))


_text = st.text(st.characters(codec="ascii", exclude_characters='"\n\r'), max_size=12)
_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.just(FLOAT) | _text
_values = _scalars | _tensors() | st.lists(_scalars | _tensors(), max_size=4).map(tuple)
_names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
_calls = st.builds(
    Call,
    st.sampled_from(["aten::mm", "aten::add.Tensor", "suiren::call", "aten::_foreach_add_.List"]),
    st.dictionaries(_names, _values, max_size=5),
    st.lists(_values, max_size=3).map(tuple),
)


@given(_calls)
def test_any_call_reads_back_as_it_was_printed(call):
    assert parse_call(str(call)) == call


@pytest.mark.parametrize(
    "line",
    ["", "mm", "aten::mm(", "aten::mm(self=f32[3)->()", "aten::mm(f32[3])->()",
     "aten::mm(self=[1,2)->()", "aten::mm(self=?)->()", "aten::mm(self=1)->(,)",
     "aten::mm(self=1)->() and more",
     "aten::mm(self=1 other=2)->()"],
)  # fmt: skip
def test_a_line_that_is_no_call_is_refused(line):
    with pytest.raises(CallSyntaxError):
        parse_call(line)


# ---- programs as text


def same_step(a: Step | None, b: Step | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(
        np.array_equal(x, y)
        for x, y in ((a.events, b.events), (a.storages, b.storages), (a.live, b.live))
    )


def same_program(a: Program, b: Program) -> bool:
    return (
        (a.calls, a.contexts, a.order, a.labels, a.facts)
        == (b.calls, b.contexts, b.order, b.labels, b.facts)
        and len(a.distinct) == len(b.distinct)
        and all(map(same_step, a.distinct, b.distinct))
        and same_step(a.rest, b.rest)
    )


def test_a_program_printed_and_parsed_is_the_same(every_step):
    program, _ = every_step
    lines = list(print_program(program))
    again = parse_program("\n".join(lines) + "\n")
    assert same_program(again, program)
    assert list(print_program(again)) == lines


def test_a_program_saved_and_loaded_is_the_same_and_saved_twice_equal_bytes(every_step, tmp_path):
    program, _ = every_step
    one, two = tmp_path / "one.gz", tmp_path / "two.gz"
    save_program(program, one)
    assert same_program(load_program(one), program)
    save_program(load_program(one), two)
    assert one.read_bytes() == two.read_bytes()


def test_an_empty_program_has_a_text(tmp_path):
    save_program(Program(), tmp_path / "none.gz")
    assert same_program(load_program(tmp_path / "none.gz"), Program())


_NOTHING = ""
SMALL = f"""suiren-trace 1
facts {{"script": "a.py"}}
context 0 forward Net.up
context 1 backward {_NOTHING}
call 0 aten::mm(self=f32[8,16],mat2=f32[16,4])->(f32[8,4])
label 2 optimizer_state Net.up.weight.exp_avg
step 0
alloc 1 512 0 0
op 0 0 0 1 2 1
free 1 512 0 0
sync 0 0 0 0
live 2 512 1
step 1
op 0 1 65537 1 2 1
order 0 1 1
rest
alloc 3 1024 1 0
live 3 1024 1
end
"""


def test_the_small_program_is_what_its_text_says():
    program = parse_program(SMALL)
    assert program.order == [0, 1, 1]
    assert program.contexts[1] == Context("backward", "")
    assert program.distinct[0].num_ops == 1
    assert program.distinct[0].storages_of(1).tolist() == [1, 2, 1]
    assert program.rest.live["bytes"].tolist() == [1024]
    assert program.labels[2].kind == "optimizer state"
    assert "\n".join(print_program(program)) + "\n" == SMALL


def _replaced(number, line):
    lines = SMALL.splitlines()
    lines[number - 1] = line
    return "\n".join(lines) + "\n"


DAMAGES = {
    "facts": (2, "facts {oops"),
    "context": (3, "context 0 sideways Net.up"),
    "call": (5, "call 0 aten::mm(self=f32[8,16)->()"),
    "label": (6, "label x weights Net"),
    "word": (8, "aloc 1 512 0 0"),
    "number": (8, "alloc 1 five 0 0"),
    "too few columns": (8, "alloc 1 512 0"),
    "too many columns": (10, "free 1 512 0 0 7"),
    "no such call": (9, "op 7 0 0 1 2 1"),
    "no such context": (9, "op 0 7 0 1 2 1"),
    "no storage": (9, "op 0"),
    "no such step": (15, "order 0 1 2"),
    "negative call": (9, "op -1 0 0 1 2 1"),
    "negative step": (15, "order 0 -1"),
    "wrong number of storages": (9, "op 0 0 0 1"),
    "an event outside a step": (6, "alloc 1 512 0 0"),
    "blank line": (8, ""),
}


@pytest.mark.parametrize(("number", "line"), cases(DAMAGES))
def test_a_damaged_trace_is_refused_with_its_line(number, line):
    with pytest.raises(TraceError, match=rf"^trace, line {number}: "):
        parse_program(_replaced(number, line))


@pytest.mark.parametrize("kept", range(1, SMALL.count("\n")))
def test_a_trace_cut_after_any_line_is_refused(kept):
    text = "\n".join(SMALL.splitlines()[:kept]) + "\n"
    with pytest.raises(TraceError, match=rf"line {kept}"):
        parse_program(text)


@pytest.mark.parametrize("text", ["", "\n", "suiren-trace 2\n", "import torch\n"])
def test_what_is_no_trace_is_refused(text):
    with pytest.raises(TraceError, match="is not a Suiren trace"):
        parse_program(text, "name.gz")


def _files(tmp_path):
    whole = gzip.compress(SMALL.encode() * 50)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    return {
        "missing": None,
        "binary": b"\xff\xfe\x00\x80" * 10,
        "cut": whole[: len(whole) // 2],
        "damaged": bytes(damaged),
        "header only": whole[:4],
    }


@pytest.mark.parametrize("kind", ["missing", "binary", "cut", "damaged", "header only"])
def test_a_file_that_cannot_be_read_is_a_trace_error_in_one_sentence(tmp_path, kind):
    path = tmp_path / "trace.gz"
    data = _files(tmp_path)[kind]
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(TraceError, match=r"trace\.gz") as error:
        load_program(path)
    assert "\n" not in str(error.value)


def test_a_plain_text_trace_is_read_too(tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text(SMALL)
    assert same_program(load_program(path), parse_program(SMALL))
