"""Porting hazards: what a card lacks, and what makes a script leave it."""

from __future__ import annotations

import pytest

from suiren.hw.catalog import CARDS
from suiren.mapper.hazard import Hazard, hazards
from suiren.mapper.price import price
from suiren.trace.call import parse_call

TOY = CARDS["toy"]  # lacks i64 and f64


def found(*lines: str, card: str = "toy") -> list[Hazard]:
    calls = [parse_call("aten::" + line) for line in lines]
    return hazards([(call, 1, price(call, CARDS[card])) for call in calls], CARDS[card])


def kinds(*lines: str, card: str = "toy") -> list[str]:
    return [hazard.kind for hazard in found(*lines, card=card)]


def test_indices_and_arithmetic_of_64_bits_are_told_apart() -> None:
    index, add = (
        found("embedding(weight=f32[9,4],indices=i64[3],padding_idx=-1)->(f32[3,4])"),
        found("add.Tensor(self=i64[3],other=i64[3],alpha=1)->(i64[3])"),
    )
    assert index[0].kind == add[0].kind == "64-bit integers"
    assert "indices" in index[0].text
    assert "arithmetic" in add[0].text


def test_a_card_that_has_a_format_has_no_hazard_with_it() -> None:
    assert kinds("add.Tensor(self=i64[3],other=i64[3],alpha=1)->(i64[3])", card="a100") == []
    assert kinds("mm(self=f32[4,4],mat2=f32[4,4])->(f32[4,4])") == []


@pytest.mark.parametrize("line", [
    "copy_(self=i64[3],src=cpu:i64[3],non_blocking=false)->(i64[3])",
    "mul.Tensor(self=f32[3],other=cpu:f64[])->(f32[3])",
    "cat(tensors=[i64[0]],dim=0)->(i64[0])",
])  # fmt: skip
def test_moving_is_not_computing(line: str) -> None:
    assert kinds(line) == []


def test_doubles_are_named() -> None:
    assert kinds("add.Tensor(self=f64[3],other=f64[3],alpha=1)->(f64[3])") == ["64-bit floats"]


def test_a_product_in_a_format_the_chip_lacks_is_named() -> None:
    assert "format" in kinds("mm(self=f64[4,4],mat2=f64[4,4])->(f64[4,4])")


def test_reading_a_value_makes_the_host_wait() -> None:
    assert kinds("_local_scalar_dense(self=f32[])->(~)") == ["synchronisation"]


def test_equal_hazards_are_counted_and_the_most_frequent_comes_first() -> None:
    add, item = (
        parse_call("aten::add.Tensor(self=i64[3],other=i64[3],alpha=1)->(i64[3])"),
        parse_call("aten::_local_scalar_dense(self=f32[])->(~)"),
    )
    rows = hazards(
        [(add, 2, price(add, TOY)), (item, 9, price(item, TOY)), (add, 3, price(add, TOY))], TOY
    )
    assert [(h.kind, h.op, h.count) for h in rows] == [
        ("synchronisation", "_local_scalar_dense", 9), ("64-bit integers", "add", 5),
    ]  # fmt: skip
