"""Nothing beats the roofline, and a better card is never slower."""

from __future__ import annotations

from dataclasses import replace

from any_call import LAW, calls, card_of, cards, scaled
from hypothesis import given
from hypothesis import strategies as st

from suiren.dtype import PEAK_NAME
from suiren.hw.spec import Card
from suiren.mapper.families import work_of
from suiren.mapper.price import PARTS, price
from suiren.trace.call import Call, parse_call

FACTOR = st.sampled_from([1.25, 2.0, 3.0, 16.0])
ROUNDING = 1 + 1e-9


#: The tuner's shortlist is an estimate, so a better card may be given a kernel that is worse by
#: a little. For one and the same program the laws are exact (test_kernel_laws.py).
TUNING = 1.05


def not_slower(call: Call, card: Card, better: Card) -> None:
    before, after = price(call, card), price(call, better)
    assert after.busy_s <= before.busy_s * TUNING, (
        f"{call} on {card.name}: {before.busy_s} s before, {after.busy_s} s on the better card"
    )


@LAW
@given(line=calls, on=cards)
def test_no_price_beats_its_roofline(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    priced = price(call, card)
    assert priced.busy_s * ROUNDING >= priced.roofline_s


@LAW
@given(line=calls, on=cards)
def test_no_product_beats_the_peak_of_the_card(line: str, on: str) -> None:
    """The roofline worked out here, from the call's FLOP and the best peak there is."""
    call, card = parse_call(line), card_of(on)
    best = max(card.peak_flop_per_s(name) for name in card.formats())
    assert price(call, card).busy_s * ROUNDING >= work_of(call).product_flop / best


@LAW
@given(line=calls, on=cards)
def test_no_call_moves_bytes_faster_than_every_level_together(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    rate = card.memory_bytes_per_s + card.l2_bytes_per_s
    assert price(call, card).busy_s * ROUNDING >= work_of(call).bytes / rate


@LAW
@given(line=calls, on=cards)
def test_every_part_is_there_and_none_is_negative(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    priced = price(call, card)
    assert tuple(priced.parts_s) == PARTS
    assert min(priced.parts_s.values()) >= 0
    assert priced.why in PARTS
    assert priced.busy_s * ROUNDING >= max(priced.parts_s.values())


@LAW
@given(line=calls, on=cards)
def test_padding_only_ever_adds_flop(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    priced = price(call, card)
    assert priced.padded_flop * ROUNDING >= sum(priced.flop.values())
    assert sum(priced.flop.values()) == work_of(call).product_flop


@LAW
@given(line=calls, on=cards, factor=FACTOR)
def test_more_memory_bandwidth_never_slows_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    not_slower(call, card, scaled(card, memory_bytes_per_s=factor))


@LAW
@given(line=calls, on=cards, factor=FACTOR)
def test_more_shared_bandwidth_never_slows_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    not_slower(call, card, scaled(card, l2_bytes_per_s=factor))


@LAW
@given(line=calls, on=cards, factor=st.sampled_from([2.0, 3.0, 16.0]))
def test_more_cores_never_slow_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    not_slower(call, card, scaled(card, cores=factor))


@LAW
@given(line=calls, on=cards)
def test_one_more_core_never_slows_a_call(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    not_slower(call, card, replace(card, cores=card.cores.at(card.cores + 1)))


@LAW
@given(line=calls, on=cards, factor=FACTOR)
def test_a_higher_clock_never_slows_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    not_slower(call, card, scaled(card, clock_hz=factor, vector_clock_hz=factor))


@LAW
@given(line=calls, on=cards, factor=FACTOR)
def test_more_scratchpad_never_slows_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    chip = card.chip
    larger = replace(
        chip, scratchpad_bytes=chip.scratchpad_bytes.at(chip.scratchpad_bytes * factor)
    )
    not_slower(call, card, replace(card, chip=larger))


@LAW
@given(line=calls, on=cards, factor=FACTOR)
def test_more_registers_never_slow_a_call(line: str, on: str, factor: float) -> None:
    call, card = parse_call(line), card_of(on)
    chip = card.chip
    larger = replace(chip, register_bytes=chip.register_bytes.at(chip.register_bytes * factor))
    not_slower(call, card, replace(card, chip=larger))


@LAW
@given(line=calls, on=cards, factor=st.sampled_from([1.25, 2.0, 4.0]))
def test_a_larger_shared_level_never_slows_a_call(line: str, on: str, factor: float) -> None:
    """Where it is at least as fast as the memory behind it."""
    call, card = parse_call(line), card_of(on)
    if card.l2_bytes_per_s >= card.memory_bytes_per_s * card.memory_efficiency:
        not_slower(call, card, scaled(card, l2_bytes=factor))


@LAW
@given(line=calls, on=cards)
def test_a_shorter_way_to_memory_never_slows_a_call(line: str, on: str) -> None:
    card = card_of(on)
    not_slower(
        parse_call(line), card, replace(card, memory_latency_s=card.memory_latency_s.at(0.0))
    )


@LAW
@given(line=calls, on=cards)
def test_a_format_the_card_has_is_not_emulated(line: str, on: str) -> None:
    call, card = parse_call(line), card_of(on)
    priced = price(call, card)
    first = next(iter(call.inputs()))
    if priced.flop and "math" not in call.arguments and PEAK_NAME[first.dtype] in card.formats():
        assert priced.emulated == ""
        assert list(priced.flop) == [PEAK_NAME[first.dtype]]
