"""What would fit: the recommended batch does, one more does not."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.advise.fit import Fit, fit
from suiren.mapper.memory import MemoryUse, memory_use
from suiren.trace.program import EVENT, LIVE, Context, Kind, Label, Program, Step

LAW = settings(derandomize=True, deadline=None, max_examples=300)
GiB = 2**30


FORWARD, BACKWARD, DATA = 0, 1, 2
CONTEXTS = [Context(phase, "Net.fc") for phase in ("forward", "backward", "data")]
LABELS = {1: Label("weights", "w"), 2: Label("optimizer state", "w.exp_avg")}


def memory(rows: list[tuple[int, int, int, int]], live: list[tuple[int, int, int]]) -> MemoryUse:
    """Of a step of (kind, number, context, bytes), after which `live` is allocated."""
    events = np.array([(kind, n, context, 0, size) for kind, n, context, size in rows], EVENT)
    step = Step(events, np.zeros(0, np.int32), np.array(live, LIVE))
    return memory_use(Program(contexts=CONTEXTS, distinct=[step], order=[0], labels=LABELS), step)


def use(
    weights: int, gradients: int, state: int, activations: int, temporaries: int, data: int
) -> MemoryUse:
    """Of a step at whose highest point all of them are there."""
    owns = [(3, BACKWARD, gradients), (4, FORWARD, activations), (5, BACKWARD, temporaries),
            (6, DATA, data)]  # fmt: skip
    rows = [(Kind.ALLOC, n, context, size) for n, context, size in owns]
    rows += [(Kind.FREE, n, context, size) for n, context, size in owns[1:]]
    return memory(rows, [(1, FORWARD, weights), (2, FORWARD, state), (3, BACKWARD, gradients)])


sizes = st.integers(0, 8 * GiB)


@LAW
@given(fixed=st.tuples(sizes, sizes, sizes), moving=st.tuples(sizes, sizes, sizes),
       capacity=st.integers(1, 64 * GiB), batch=st.integers(1, 512))  # fmt: skip
def test_the_recommended_batch_fits_and_one_more_does_not(
    fixed: tuple, moving: tuple, capacity: int, batch: int
) -> None:
    found = fit(use(*fixed, *moving), capacity, batch, None)
    assert found.fixed_bytes == sum(fixed)
    assert found.per_batch_bytes == sum(moving)
    if sum(moving) == 0:
        return

    # in whole numbers: fixed · batch + moving · n ≤ capacity · batch
    def needs(n: int) -> int:
        return sum(fixed) * batch + sum(moving) * n

    room = capacity * batch
    if found.largest_batch:
        assert needs(found.largest_batch) <= room * (1 + 1e-12)
    assert needs(found.largest_batch + 1) > room * (1 - 1e-12) or sum(fixed) >= capacity


@LAW
@given(fixed=sizes, activations=st.integers(1, 8 * GiB), capacity=st.integers(1, 64 * GiB),
       batch=st.integers(1, 64), sequence=st.sampled_from([128, 1000, 4096]))  # fmt: skip
def test_the_recommended_sequence_fits_at_batch_one(
    fixed: int, activations: int, capacity: int, batch: int, sequence: int
) -> None:
    found = fit(use(fixed, 0, 0, activations, 0, 0), capacity, batch, sequence)
    if found.largest_sequence is None:
        return
    assert found.largest_sequence % 64 == 0
    a_token = activations / batch / sequence
    assert fixed + a_token * found.largest_sequence <= capacity * (1 + 1e-12)
    assert fixed + a_token * (found.largest_sequence + 64) > capacity * (1 - 1e-12)


def sentence(*memory: int, capacity: int, batch: int = 4, sequence: int | None = None) -> str:
    return fit(use(*memory), capacity, batch, sequence).sentence


def test_the_sentence_names_the_batch_and_what_a_sample_takes() -> None:
    told = sentence(GiB, GiB, 0, 2 * GiB, 0, 0, capacity=12 * GiB)
    # 10 GiB of room, half a GiB a sample
    assert told == "largest batch that fits: 20 (fixed 2.00 GiB, 512.00 MiB a sample)"


def test_parts_of_a_step_are_counted_by_themselves() -> None:
    """Eight parts of four samples: memory holds four samples at once."""
    memory = use(GiB, GiB, 0, 2 * GiB, 0, 0)
    parts, one = (fit(memory, 12 * GiB, 4 * n, 1024, n) for n in (8, 1))
    assert (parts.batch, parts.largest_batch) == (one.batch, one.largest_batch) == (4, 20)
    assert parts.largest_sequence == one.largest_sequence == 20 * 1024
    assert parts.sentence == ("largest micro-batch that fits at sequence 1024: 20, 8 a step "
                              "(fixed 2.00 GiB, 512.00 MiB a sample)")  # fmt: skip


def test_weights_that_alone_are_too_large_need_more_cards() -> None:
    told = sentence(10 * GiB, 10 * GiB, 20 * GiB, GiB, 0, 0, capacity=16 * GiB)
    assert "no batch fits" in told
    assert f"at least {math.ceil(40 / 16)} cards" in told


def test_a_single_sample_that_is_too_long_gets_a_shorter_sequence() -> None:
    told = sentence(GiB, 0, 0, 16 * GiB, 0, 0, capacity=5 * GiB, batch=1, sequence=4096)
    assert told.startswith("largest that fits: batch 1 × sequence 1024 ")


def test_a_sample_that_cannot_be_cut_does_not_fit() -> None:
    told = sentence(GiB, 0, 0, 16 * GiB, 0, 0, capacity=5 * GiB, batch=1)
    assert told.startswith("not even one sample fits")


def test_a_step_without_activations_keeps_its_batch() -> None:
    found = fit(use(GiB, 0, 0, 0, 0, 0), 2 * GiB, 7, None)
    assert isinstance(found, Fit)
    assert found.largest_batch == 7


def test_the_highest_point_may_move_when_the_batch_shrinks() -> None:
    """Ten samples: 100 + 1000 forward, 100 + 80 + 900 backward. Two: 300 forward, 360 backward."""
    found = memory(
        [
            (Kind.ALLOC, 4, FORWARD, 1000), (Kind.FREE, 4, FORWARD, 1000),
            (Kind.ALLOC, 3, BACKWARD, 80), (Kind.ALLOC, 5, BACKWARD, 900),
            (Kind.FREE, 5, BACKWARD, 900),
        ],
        [(1, FORWARD, 100), (3, BACKWARD, 80)],
    )  # fmt: skip
    assert found.peak_bytes == 1100
    assert fit(found, 300, 10, None).largest_batch == 1


def test_what_the_optimizer_makes_for_itself_does_not_grow_with_the_batch() -> None:
    """A batch of one beside an optimizer that copies every parameter."""
    contexts = [*CONTEXTS, Context("optimizer", "")]
    rows = [(Kind.ALLOC, 4, FORWARD, 0, 10), (Kind.FREE, 4, FORWARD, 0, 10),
            (Kind.ALLOC, 5, 3, 0, 1000), (Kind.FREE, 5, 3, 0, 1000)]  # fmt: skip
    live = np.array([(1, FORWARD, 1000)], LIVE)
    step = Step(np.array(rows, EVENT), np.zeros(0, np.int32), live)
    asked = Program(contexts=contexts, distinct=[step], order=[0], labels=LABELS)
    assert fit(memory_use(asked, step), 3000, 1, None).largest_batch == 200
    assert fit(memory_use(asked, step), 1999, 1, None).largest_batch == 0
