"""A card with a fact moved takes the choices of the true one: all is only timed again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from suiren.hw.load import resolve_card
from suiren.hw.spec import Card
from suiren.mapper import attend as attending
from suiren.mapper import plans as planning
from suiren.mapper import product, stream
from suiren.mapper.attend import Attention, attend
from suiren.mapper.candidate import Shape
from suiren.mapper.plans import following, plans_of
from suiren.mapper.price import price
from suiren.trace.call import parse_call

LINES = (
    "aten::mm(self=bf16[512,300],mat2=bf16[300,640])->(bf16[512,640])",
    "aten::add.Tensor(self=f32[3000000],other=f32[3000000],alpha=1)->(f32[3000000])",
)
HEADS = Attention(2, 8, 8, 200, 200, 64, 64, "bf16", "bf16")


def slower(card: Card) -> Card:
    return replace(card, clock_hz=card.clock_hz.at(card.clock_hz * 0.7))


@pytest.fixture
def t20() -> Card:
    return resolve_card("t20")


def test_no_product_is_tuned_again(t20, monkeypatch) -> None:
    calls = [parse_call(line) for line in LINES]
    true = [price(call, t20).busy_s for call in calls]
    monkeypatch.setattr(planning, "tune", None)
    other = slower(t20)
    with following(other, t20):
        moved = [price(call, other).busy_s for call in calls]
    assert moved[0] > true[0]
    assert moved[1] >= true[1]


def test_attention_keeps_its_tiles(t20) -> None:
    other = slower(t20)
    for backward in (False, True):
        chosen = attend(HEADS, t20, backward=backward)
        kept = attend(HEADS, other, backward=backward, like=t20)
        assert kept.blocks == chosen.blocks
        assert kept.seconds >= attend(HEADS, other, backward=backward).seconds
        assert kept.seconds > chosen.seconds
        same = attend(HEADS, replace(t20), backward=backward, like=t20)
        assert same.timing == chosen.timing


def test_a_stream_is_cut_as_on_the_true_card(t20, monkeypatch) -> None:
    plain = stream.stream(3e7, 1e7, 2e7, 0.0, "f32", t20)
    run = []
    timed = stream._timed
    monkeypatch.setattr(stream, "_timed", lambda *given: run.append(given) or timed(*given))
    assert stream.stream(3e7, 1e7, 2e7, 0.0, "f32", replace(t20), 0.0, t20) == plain
    assert len(run) == 1
    assert stream.stream(0.0, 0.0, 0.0, 0.0, "f32", replace(t20), 0.0, t20).seconds == 0.0


def test_cards_that_differ_in_a_fact_share_the_traced_program(t20) -> None:
    shape, other = Shape(1, 512, 640, 320, "bf16", "bf16"), slower(t20)
    offer = plans_of(t20).plan(shape).offer
    assert product.program_of(shape, t20, offer, 1) is product.program_of(shape, other, offer, 1)
    forward = attending._forward(HEADS, attending.Blocks(64, 64), 1e6)
    assert attending._forward(HEADS, attending.Blocks(64, 64), 1e6) is forward
