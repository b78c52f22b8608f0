"""Laws that hold for every card however it is scaled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suiren.hw.catalog import CARDS
from suiren.hw.check import faults
from suiren.hw.fact import Fact, assumed
from suiren.hw.spec import PEAK_FORMATS, Card

ANY_CARD = st.sampled_from(list(CARDS.values()))
ANY_FORMAT = st.sampled_from(PEAK_FORMATS)
FACTOR = st.floats(0.1, 10)


def scaled(card: Card, factor: float, *names: str) -> Card:
    """The card with some of its facts multiplied, and its printed peaks with them."""
    facts: dict[str, Fact] = {}
    for name in names:
        fact = getattr(card, name)
        if fact is not None:
            facts[name] = fact.at(fact * factor)
    printed = {f: peak.at(peak * factor) for f, peak in card.printed_flop_per_s.items()}
    return replace(card, printed_flop_per_s=printed, **facts)  # type: ignore[arg-type]


@given(card=ANY_CARD, factor=FACTOR)
def test_more_cores_keep_the_sums(card: Card, factor: float) -> None:
    assert faults(scaled(card, factor, "cores")) == []


@given(card=ANY_CARD, factor=FACTOR)
def test_faster_clocks_keep_the_sums(card: Card, factor: float) -> None:
    assert faults(scaled(card, factor, "clock_hz", "vector_clock_hz")) == []


@given(card=ANY_CARD, factor=FACTOR, peak_format=ANY_FORMAT)
def test_peak_is_proportional_to_cores(card: Card, factor: float, peak_format: str) -> None:
    wider = scaled(card, factor, "cores")
    assert wider.peak_flop_per_s(peak_format) == pytest.approx(
        factor * card.peak_flop_per_s(peak_format)
    )


@given(card=ANY_CARD, peak_format=ANY_FORMAT)
def test_peak_is_the_faster_engine(card: Card, peak_format: str) -> None:
    engines = [card.engine_flop_per_s(engine, peak_format) for engine in ("matrix", "vector")]
    assert card.peak_flop_per_s(peak_format) == max(engines)
    assert (card.peak_flop_per_s(peak_format) > 0) == (peak_format in card.formats())


@given(card=ANY_CARD, factor=st.floats(1.05, 5))
def test_a_clock_changed_alone_is_found_out(card: Card, factor: float) -> None:
    faster = replace(
        card,
        clock_hz=card.clock_hz.at(card.clock_hz * factor),
        vector_clock_hz=card.vector_clock_hz
        and card.vector_clock_hz.at(card.vector_clock_hz * factor),
    )
    assert len(faults(faster)) == len(card.printed_flop_per_s)


@given(card=ANY_CARD, name=st.sampled_from(["cores", "clock_hz", "tdp_w", "host_bytes_per_s"]))
def test_a_zero_is_found_out(card: Card, name: str) -> None:
    broken = replace(card, **{name: assumed(0, "test")})  # type: ignore[arg-type]
    assert any(f"{name} is 0" in fault for fault in faults(broken))


@given(card=ANY_CARD)
def test_assumed_facts_are_a_part_of_all_facts(card: Card) -> None:
    facts = dict(card.facts())
    assert card.assumed().items() <= facts.items()
    assert len(facts) > 15
