"""Many pipelines at once end when each alone does, to the picosecond."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.order import order_of
from suiren.fleet.pipeline import Stages, _simulated, _total_ps, orders, pipeline_s
from suiren.fleet.pipelines import Pipelines, pipelines_s
from suiren.units import PS_PER_S


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe", "interleaved"])
@pytest.mark.parametrize(("p", "v"), [(1, 1), (2, 1), (5, 1), (2, 2), (3, 2), (4, 3)])
@pytest.mark.parametrize("rounds", [1, 2, 3, 6])
def test_stages_take_passes_in_the_order_of_the_schedule(
    schedule: str, p: int, v: int, rounds: int
) -> None:
    m = rounds * (p if v > 1 else 1)
    order = order_of(p, v, m, schedule == "gpipe" or (v > 1 and m == p))
    for stage, listed in enumerate(orders(p, v, m, schedule)):
        passes = order.by_stage[stage] - 2
        assert [(int(c), not b) for c, b in zip(order.chunk[passes], order.backward[passes],
                                                strict=True)] == [
            (chunk, forward) for _, chunk, _, forward in listed
        ]  # fmt: skip
    level = np.repeat(np.arange(len(order.levels) - 1), np.diff(order.levels))
    known = np.concatenate([[-1, -1], level])
    assert (known[order.before] < level).all() and (known[order.sender] < level).all()


@st.composite
def some(draw: st.DrawFn) -> tuple[Pipelines, list[str]]:
    """Six pipelines of one shape, quick or uneven, short or long."""
    p = draw(st.integers(1, 5))
    v = draw(st.integers(1, 3)) if p > 1 else 1
    kinds = draw(st.integers(1, p * v))
    kind = [[draw(st.integers(0, kinds - 1)) for _ in range(v)] for _ in range(p)]
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    most = draw(st.sampled_from([2, 9, 1000]))
    names = rng.choice(["1f1b", "gpipe", "zero-bubble"], 6).tolist()
    share = [rng.choice([1 / 3, 0.5]) if name == "zero-bubble" else 0.0 for name in names]
    rounds = rng.choice([1, 2, 3, 4, 5, 8, 13, 21, 34, 60], 6)
    return Pipelines(
        np.array(kind, np.intp), rng.integers(1, most + 1, (kinds, 6)) / 1024,
        rng.integers(1, most + 1, (kinds, 6)) / 1024, rng.integers(0, most // 2 + 1, 6) / 1024,
        np.array(share), (rounds * (p if v > 1 else 1)).astype(np.int64),
        np.array([name == "gpipe" for name in names]),
    ), names  # fmt: skip


def alone(of: Pipelines, row: int) -> Stages:
    forward, backward = (
        tuple(tuple(float(times[k, row]) for k in stage) for stage in of.kind.tolist())
        for times in (of.forward_s, of.backward_s)
    )
    return Stages(forward, backward, float(of.send_s[row]), float(of.weight_share[row]))


@settings(max_examples=40, deadline=None)
@given(some())
def test_all_end_when_each_alone_does(made: tuple[Pipelines, list[str]]) -> None:
    of, names = made
    ends = pipelines_s(of) * PS_PER_S
    for row, name in enumerate(names):
        stages, m = alone(of, row), int(of.micro_batches[row])
        if stages.count == 1:
            assert ends[row] == pytest.approx(pipeline_s(stages, m, name) * PS_PER_S)
            continue
        assert round(ends[row]) == _simulated(stages, m, name).end_ps


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 200))
def test_uneven_chunks_under_gpipe_do_not_add_alike_at_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    forward, backward = (tuple(map(tuple, rng.integers(1, 40, (3, 2)) / 8)) for _ in range(2))
    stages = Stages(forward, backward, 0.25)
    assert _total_ps(stages, 36, "gpipe") == _simulated(stages, 36, "gpipe").end_ps


def test_thousands_of_micro_batches_cost_no_more_than_some() -> None:
    """The even middle is a multiplication: the table of a long schedule is not longer."""
    made = np.array([[0], [1], [1], [2]], np.intp)
    times = np.array([[1.0], [0.75], [1.5]])
    ends = []
    for m in (10**3, 10**6):
        of = Pipelines(made, times, 2 * times, np.array([0.1]), np.array([0.5]),
                       np.array([m]), np.array([False]))  # fmt: skip
        ends.append(float(pipelines_s(of)[0]))
    whole = _simulated(alone(of, 0), 10**3, "zero-bubble").end_ps
    assert round(ends[0] * PS_PER_S) == whole
    assert ends[1] / 10**6 == pytest.approx(4.5, rel=1e-4)
