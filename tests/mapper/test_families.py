"""The table of families: every op in one, nothing forgotten silently."""

from __future__ import annotations

from itertools import combinations

from suiren.mapper import families
from suiren.mapper.families import FAMILY_OF, work_of
from suiren.trace.call import parse_call


def test_every_op_belongs_to_exactly_one_family() -> None:
    twice = [
        f"{op} is claimed by {a.__name__} and {b.__name__}"
        for a, b in combinations(families._MODULES, 2)
        for op in a.OPS & b.OPS
    ]
    assert twice == []
    assert sum(len(module.OPS) for module in families._MODULES) == len(FAMILY_OF)


def test_every_family_has_a_sentence_and_ops() -> None:
    for module in families._MODULES:
        assert module.__doc__
        assert module.OPS


def test_an_op_in_place_or_with_an_out_argument_belongs_where_its_plain_form_does() -> None:
    for line, family in {
        "aten::add_.Tensor(self=f32[4],other=f32[4],alpha=1)->(f32[4])": "pointwise",
        "aten::add.out(self=f32[4],other=f32[4],alpha=1,out=f32[4])->(f32[4])": "pointwise",
        "aten::zero_(self=f32[4])->(f32[4])": "copy",
        "aten::random_.from(self=i64[4],from=0,to=9)->(i64[4])": "random",
        "aten::_foreach_made_up_(self=[f32[4]])->()": "optimizer",
    }.items():
        assert work_of(parse_call(line)).family == family, line


def test_an_unknown_op_counts_its_traffic_and_says_so() -> None:
    found = work_of(parse_call("mine::thing(a=f32[8],b=[bf16[4],i64[2]],n=3)->(f32[16])"))
    assert found.approximated
    assert found.family == "other"
    assert found.bytes == 8 * 4 + 4 * 2 + 2 * 8 + 16 * 4
    assert found.product_flop == 0


def test_a_known_op_is_not_approximated() -> None:
    assert not work_of(parse_call("aten::mm(self=f32[2,2],mat2=f32[2,2])->(f32[2,2])")).approximated
