"""A call prints as one line and parses back to itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.dtype import FORMATS
from suiren.trace.call import FLOAT, Call, CallSyntaxError, Tensor, parse_call, parse_tensor

LAW = settings(derandomize=True, deadline=None, max_examples=200)

sizes = st.lists(st.integers(0, 10**9), max_size=4).map(tuple)
tensors = st.builds(
    lambda dtype, shape, strided, on_host: Tensor(
        dtype, shape, tuple(reversed(shape)) if strided else None, on_host
    ),
    st.sampled_from(sorted(FORMATS)), sizes, st.booleans(), st.booleans(),
)  # fmt: skip
ints = st.integers(-(2**63), 2**63 - 1)
words = st.text(st.characters(codec="utf-8", exclude_characters='"\n\r'), max_size=12)
scalars = st.one_of(tensors, ints, st.booleans(), words, st.none(), st.just(FLOAT))
values = st.one_of(scalars, st.lists(scalars, max_size=4).map(tuple))
names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
ops = st.from_regex(r"[a-z]{2,5}::_?[a-z0-9_]{1,9}(\.[A-Za-z_]{1,7})?", fullmatch=True)
calls = st.builds(
    Call, ops, st.dictionaries(names, values, max_size=5), st.lists(values, max_size=3).map(tuple)
)


@LAW
@given(call=calls)
def test_a_printed_call_parses_back(call: Call) -> None:
    assert parse_call(str(call)) == call


@LAW
@given(tensor=tensors)
def test_a_printed_tensor_parses_back(tensor: Tensor) -> None:
    assert parse_tensor(str(tensor)) == tensor


@LAW
@given(call=calls)
def test_equal_text_means_equal_calls(call: Call) -> None:
    again = parse_call(str(call))
    assert str(again) == str(call)
    assert hash(again) == hash(call)


@pytest.mark.parametrize("text", ['a"b', "a\nb", "a\u2028b", '"', ")->()"])
def test_any_string_survives(text: str) -> None:
    call = Call("aten::x", {"mode": text, "n": 1}, (text,))
    assert parse_call(str(call)) == call
    assert len(str(call).splitlines()) == 1


def test_a_call_reads_as_the_documentation_shows() -> None:
    line = 'aten::mm(self=f32[8,16],mat2=f32[16,4]{1,16},math="tf32")->(f32[8,4])'
    call = parse_call(line)
    assert call.op == "aten::mm"
    assert call.tensor("self") == Tensor("f32", (8, 16))
    assert call.tensor("mat2") == Tensor("f32", (16, 4), (1, 16))
    assert call.arguments["math"] == "tf32"
    assert list(call.results()) == [Tensor("f32", (8, 4))]
    assert str(call) == line


def test_every_kind_of_value_has_its_word() -> None:
    call = parse_call('aten::x(a=none,b=true,c=-3,d=~,e="s",f=[],g=[f32[2],none],h=cpu:f64[])->()')
    host = Tensor("f64", (), None, True)
    expected = [None, True, -3, FLOAT, "s", (), (Tensor("f32", (2,)), None), host]
    assert list(call.arguments.values()) == expected
    assert call.arguments["b"] is True


@pytest.mark.parametrize(("op", "name"), [
    ("aten::add_.Tensor", "add_"), ("aten::mm", "mm"), ("mine::f.out", "f"), ("relu", "relu"),
])  # fmt: skip
def test_a_name_is_the_op_without_namespace_and_overload(op: str, name: str) -> None:
    assert Call(op, {}, ()).name == name


def test_tensors_are_found_in_lists_and_in_order() -> None:
    call = parse_call("aten::cat(tensors=[f32[1],f32[2]],dim=0,out=f32[3])->([f32[4]],f32[5])")
    assert [t.shape for t in call.inputs()] == [(1,), (2,), (3,)]
    assert [t.shape for t in call.results()] == [(4,), (5,)]
    assert [t.shape for t in call.tensors("tensors")] == [(1,), (2,)]
    assert call.tensors("absent") == ()
    with pytest.raises(KeyError, match="dim"):
        call.tensor("dim")


def test_ints_are_the_integers_of_a_list() -> None:
    call = parse_call("aten::x(dim=[0,-1,none],n=3)->()")
    assert call.ints("dim") == (0, -1)
    assert call.ints("n", (7,)) == (7,)


def test_a_broadcast_dimension_takes_no_memory() -> None:
    spread = parse_tensor("bf16[32,128]{0,1}")
    assert spread.numel == 32 * 128
    assert spread.distinct == 128
    assert spread.bytes == 128 * 2
    assert parse_tensor("f64[]").bytes == 8
    assert parse_tensor("i8[0,4]").bytes == 0


@pytest.mark.parametrize(("line", "part"), [
    ("", "not a call"),
    ("aten::mm", "not a call"),
    ("aten::mm(self=f32[2])", "expected `)->(`"),
    ("aten::mm(self=?)->()", "cannot read"),
    ("aten::mm(f32[2])->()", "expected `name=value`"),
    ("aten::mm(self=[f32[2])->()", "expected `,` or `]`"),
    ("aten::mm(self=[1,2)->()", ""),
    ("aten::mm(self=,)->()", ""),
    ("aten::mm(self=])->()", "unexpected"),
    ("aten::mm(self=1)->(x)", "cannot read"),
    ("aten::mm(self=1 2)->()", ""),
    ("aten::mm(a=f32[1]f32[2])->()", ""),
])  # fmt: skip
def test_a_faulty_line_is_named_with_its_faulty_part(line: str, part: str) -> None:
    with pytest.raises(CallSyntaxError) as caught:
        parse_call(line)
    assert part in str(caught.value)


@pytest.mark.parametrize("line", ["aten::x(a=1;b=2)->()", "aten::x(a=[f32[1]f32[2]])->()",
                                  "aten::x()->(1;2)"])  # fmt: skip
def test_values_stand_between_commas(line: str) -> None:
    with pytest.raises(CallSyntaxError):
        parse_call(line)


@LAW
@given(call=calls, at=st.integers(0, 200), junk=st.sampled_from(list('[](){},="~x1 -:')))
def test_a_damaged_line_is_a_call_or_a_syntax_error(call: Call, at: int, junk: str) -> None:
    line = str(call)
    at = at % len(line)
    for damaged in (line[:at], line[:at] + junk + line[at + 1 :], line[:at] + junk + line[at:]):
        try:
            parse_call(damaged)
        except CallSyntaxError as error:
            assert str(error)
