"""Laws of whole steps: parts sum to the whole, repetition multiplies, equals give equals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from any_call import SMALL, calls, card_of, cards
from hypothesis import given
from hypothesis import strategies as st

from suiren.hw.spec import Card
from suiren.mapper.price import price
from suiren.mapper.step import Prices, steady_step, step_times_s
from suiren.report.answer import SPLIT, answer
from suiren.report.document import document
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step
from suiren.units import PS_PER_S

some_calls = st.lists(calls, min_size=1, max_size=8)
#: (number of the call among those given, context, stream)
places = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 3), st.integers(0, 1)),
                  min_size=1, max_size=12)  # fmt: skip
COMPUTE = calls.filter(lambda line: "cpu:" not in line)


def program(lines: Sequence[str], ops: Sequence[tuple[int, int, int]], steps: int = 3) -> Program:
    """A program whose every step issues `ops`: (call, context, stream)."""
    rows = [(Kind.OP, c % len(lines), context, stream, 0) for c, context, stream in ops]
    step = Step(np.array(rows, EVENT), np.zeros(0, np.int32), np.zeros(0, LIVE))
    contexts = [Context(p, "A.b") for p in ("forward", "backward", "optimizer", "recompute")]
    return Program([parse_call(line) for line in lines], contexts, [step], [0] * steps)


def device_bound(card: Card) -> Card:
    """The card with a host that issues in no time."""
    return replace(card, host_issue_s=card.host_issue_s.at(0.0))


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_the_split_sums_to_the_step(lines: list[str], ops: list, on: str) -> None:
    found = answer(program(lines, ops), card_of(on), advise=False)
    assert tuple(found.split_s) == SPLIT
    assert min(found.split_s.values()) >= 0
    assert sum(found.split_s.values()) == pytest.approx(found.step_time_s, rel=1e-9)


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_ops_modules_phases_and_calls_all_sum_to_the_same_time(
    lines: list[str], ops: list, on: str
) -> None:
    card = card_of(on)
    asked = program(lines, ops)
    found = answer(asked, card, advise=False)
    prices = [price(parse_call(lines[call % len(lines)]), card) for call, _, _ in ops]
    whole_s = sum(p.busy_at(found.clock_share) + p.launch_s for p in prices)
    whole = pytest.approx(whole_s, abs=len(ops) * 1e-12)
    for rows in (found.ops, found.modules, found.shapes):
        assert sum(row.time_s for row in rows) == whole
        assert sum(row.flop for row in rows) == pytest.approx(found.hardware_flop)
        assert sum(row.calls for row in rows) == len(ops)
    assert sum(found.phases_s.values()) == whole


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_recomputed_flop_count_for_the_hardware_only(lines: list[str], ops: list, on: str) -> None:
    found = answer(program(lines, ops), card_of(on), advise=False)
    prices = {i: price(parse_call(line), card_of(on)) for i, line in enumerate(lines)}
    kept = [sum(prices[c % len(lines)].flop.values()) for c, context, _ in ops if context != 3]
    assert found.model_flop == pytest.approx(sum(kept))
    assert found.mfu <= found.hfu <= 1


@SMALL
@given(lines=st.lists(COMPUTE, min_size=1, max_size=6), on=cards)
def test_a_device_bound_step_issued_twice_takes_twice_as_long(lines: list[str], on: str) -> None:
    card = device_bound(card_of(on))
    ops = [(i, 0, 0) for i in range(len(lines))]
    once, twice = program(lines, ops), program(lines, ops + ops)
    single = steady_step(once, Prices(once.calls, card), 0).period_ps
    assert steady_step(twice, Prices(twice.calls, card), 0).period_ps == 2 * single


@SMALL
@given(lines=st.lists(COMPUTE, min_size=1, max_size=6), on=cards)
def test_a_device_bound_step_takes_what_its_calls_take(lines: list[str], on: str) -> None:
    card = device_bound(card_of(on))
    asked = program(lines, [(i, 0, 0) for i in range(len(lines))])
    prices = [price(parse_call(line), card) for line in lines]
    expected = sum(round(p.busy_s * PS_PER_S) + round(p.launch_s * PS_PER_S) for p in prices)
    assert steady_step(asked, Prices(asked.calls, card), 0).period_ps == expected


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_a_step_is_never_shorter_than_its_host_needs(lines: list[str], ops: list, on: str) -> None:
    card = card_of(on)
    asked = program(lines, ops)
    host_ps = len(ops) * round(card.host_issue_s * PS_PER_S)
    assert steady_step(asked, Prices(asked.calls, card), 0).period_ps >= host_ps


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_every_steps_time_together_is_the_time_of_the_run(
    lines: list[str], ops: list, on: str
) -> None:
    asked = program(lines, ops, steps=40)
    prices = Prices(asked.calls, card_of(on))
    times = step_times_s(asked, prices)
    steady_s = steady_step(asked, prices, 0).period_ps / PS_PER_S
    assert len(times) == 40
    assert times[-1] == pytest.approx(steady_s, rel=1e-9)


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_energy_lies_between_idle_and_rated_power(lines: list[str], ops: list, on: str) -> None:
    card = card_of(on)
    found = answer(program(lines, ops), card, advise=False)
    seconds = found.step_time_s
    assert card.idle_w * seconds * (1 - 1e-9) <= found.energy_j
    assert found.energy_j <= card.tdp_w * seconds * (1 + 1e-9)


@SMALL
@given(lines=some_calls, ops=places, on=cards)
def test_the_same_program_on_the_same_card_gives_the_same_document(
    lines: list[str], ops: list, on: str
) -> None:
    def text() -> str:
        return json.dumps(document(answer(program(lines, ops), card_of(on))), sort_keys=True)

    assert text() == text()
