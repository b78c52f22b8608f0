"""What an answer is about: which step, which batch, and what to say if nothing ran."""

from __future__ import annotations

import numpy as np
import pytest
from told import ENTER, MM, TRAINING, program, trained

from suiren.hw.catalog import CARDS
from suiren.report.answer import NothingRan, answer, reported_step
from suiren.report.batch import batch_of
from suiren.trace.call import parse_call
from suiren.trace.program import EVENT, LIVE, Context, Kind, Program, Step

TOY = CARDS["toy"]


def test_nothing_ran_is_said_in_one_sentence() -> None:
    with pytest.raises(NothingRan, match="ran no op on the device"):
        answer(Program(), TOY)


def test_a_script_without_steps_is_one_step() -> None:
    asked = program([(MM, 0)])
    asked.rest, asked.order, asked.distinct = asked.distinct[0], [], []
    assert len(answer(asked, TOY).step_times_s) == 1


def test_answering_twice_gives_the_same() -> None:
    asked = program([(MM, 0)])
    asked.rest, asked.order, asked.distinct = asked.distinct[0], [], []
    assert answer(asked, TOY).step_time_s == answer(asked, CARDS["toy"]).step_time_s


def test_the_steady_step_is_reported_and_the_peak_is_of_the_whole_run() -> None:
    asked = program(TRAINING)
    whole = asked.distinct[0]
    only_an_op = np.array([(Kind.OP, 0, 0, 0, 0)], EVENT)
    asked.distinct.append(Step(only_an_op, np.zeros(0, np.int32), whole.live))
    asked.order = [0, 1, 1, 1]
    found = answer(asked, TOY, advise=False)
    assert reported_step(asked)[1] == 1
    assert found.num_warm_up == 1
    assert found.peak_bytes > found.memory.peak_bytes


def entered(*inputs: tuple[str, int, int]) -> Program:
    """A step in which modules were called: (call, context, how often)."""
    rows = [
        (Kind.ENTER, i, c, 0, 1) for i, (_, c, times) in enumerate(inputs) for _ in range(times)
    ]
    step = Step(np.array(rows, EVENT), np.zeros(0, np.int32), np.zeros(0, LIVE))
    contexts = [Context("forward", "Small"), Context("forward", "Large")]
    calls = [parse_call(line) for line, _, _ in inputs]
    return Program(calls, contexts, [step], [0], facts={"roots": {"Small": 10, "Large": 1000}})


@pytest.mark.parametrize(("inputs", "samples", "sequence"), [
    ([(ENTER, 1, 1)], 4, 128),
    ([("suiren::call(input0=f32[32,3,224,224])->()", 1, 1)], 32, None),
    ([("suiren::call(x=f32[4,9],ids=i64[4,77])->()", 1, 1)], 4, 77),
    ([(ENTER, 1, 3)], 12, 128),  # micro-batches
    ([(ENTER, 1, 1), ("suiren::call(input0=f32[99,5])->()", 0, 5)], 4, 128),  # the largest root
    ([("suiren::call(x=bf16[64,2,256])->()", 1, 8), ("suiren::call(ids=i64[2,128])->()", 0, 8)],
     16, 128),  # a pipeline's chunks
    ([("suiren::call(x=bf16[64,2,256])->()", 1, 8), ("suiren::call(ids=i64[2,128])->()", 1, 8)],
     16, 128),  # of one class
    ([("suiren::call()->()", 1, 1)], 1, None),
    ([], 1, None),
])  # fmt: skip
def test_the_batch_is_read_from_what_enters_the_largest_module(
    inputs: list, samples: int, sequence: int | None
) -> None:
    asked = entered(*inputs)
    found = batch_of(asked, asked.distinct[0])
    assert (found.samples, found.sequence) == (samples, sequence)
    assert found.tokens == (samples * sequence if sequence else None)


def test_parts_of_an_answer_agree_with_each_other() -> None:
    found = trained()
    busy_s = sum(row.time_s for row in found.ops)
    assert busy_s == pytest.approx(sum(found.phases_s.values()))
    assert busy_s == pytest.approx(sum(row.time_s for row in found.modules))
    assert found.split_s["idle"] == pytest.approx(found.step_time_s - sum(
        seconds for part, seconds in found.split_s.items() if part != "idle"))  # fmt: skip
    assert all(row.roofline_share <= 1 for row in found.ops)


def test_a_card_of_twenty_percent_more_moves_the_step_as_told() -> None:
    found = trained()
    effects = {rested.name: rested.effect_percent for rested in found.rested}
    assert list(effects) == sorted(effects, key=lambda n: (-abs(effects[n]), n))
