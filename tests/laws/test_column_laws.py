"""Columns of all candidates equal the simulation of each; the choice is the best of all."""

from __future__ import annotations

import random

import numpy as np
import pytest
from any_call import card_of, cards
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.core.pace import engines_of
from suiren.core.traffic import survives
from suiren.hw.load import resolve_card
from suiren.mapper.candidate import Candidate, Shape
from suiren.mapper.estimate import survive
from suiren.mapper.product import bodies_of, simulate
from suiren.mapper.race import Group
from suiren.mapper.tune import AT_LEAST, TRUST, candidates, groups_of, ordered, tune
from suiren.units import PS_PER_S

sizes = st.sampled_from([1, 2, 8, 16, 33, 100, 640, 1000, 1712, 4096, 5120, 16384])
FORMATS = (("bf16", "bf16"), ("f32", "f32"), ("f16", "f32"), ("i8", "i32"), ("f64", "f64"),
           ("tf32", "f32"))  # fmt: skip
formats = st.sampled_from(FORMATS)
nearness = st.sampled_from([{}, {"a": 1.0, "b": 1.0}, {"a": 0.35}])


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    batch = draw(st.sampled_from([1, 1, 1, 7, 64]))
    return Shape(batch, draw(sizes), draw(sizes), draw(sizes), *draw(formats))


@settings(derandomize=True, deadline=None, max_examples=20)
@given(shape=shapes(), on=cards, warm=nearness, draw=st.data())
def test_columns_give_the_time_of_the_simulation(shape, on, warm, draw) -> None:
    card = card_of(on)
    ways, _ = ordered(shape, card, 1.0, warm)
    place, groups = groups_of(shape, engines_of(card), ways, warm)
    for at in draw.draw(st.lists(st.integers(0, len(ways) - 1), min_size=1, max_size=3)):
        number, row = place[at]
        offer, splits = ways.offers[at], int(ways.splits[at])
        plain = simulate(shape, card, Candidate(offer, splits, 0.0), 1.0, warm).seconds
        assert groups[number].time_ps(row, None) / PS_PER_S == plain
        assert groups[number].least_ps[row] / PS_PER_S <= plain


def one_by_one(shape: Shape, card, warm) -> tuple[Candidate, float, int]:
    """The tuner without columns and bounds: each candidate simulated."""
    engine = engines_of(card).product_engine(shape.dtype)[0]
    best, seconds, tried = None, 0.0, 0
    for candidate in candidates(shape, card, 1.0, warm):
        late = candidate.guess_s * TRUST[engine] >= seconds
        if best is not None and tried >= AT_LEAST[engine] and late:
            break
        found = simulate(shape, card, candidate, 1.0, warm).seconds
        tried += 1
        if best is None or found < seconds:
            best, seconds = candidate, found
    assert best is not None
    return best, seconds, tried


#: Cards of all kinds: with and without matrix engines, shared level, broadcasts, fresh tiles.
CARDS = ("t20", "t21", "t10", "a100", "h100", "b200", "mi300x", "v100", "tpu-v4", "gaudi2",
         "ascend-910b", "p100")  # fmt: skip


def differing(count: int) -> list[str]:
    """Random products on all cards for which the tuner chose other than the plain way."""
    draw, found = random.Random(7), []
    for number in range(count):
        m, n, k = (draw.choice((1, 16, 64, 640, 777, 1712, 4096, 5120, 13696)) for _ in range(3))
        batch = draw.choice((1, 1, 1, 24))
        shape = Shape(batch, m, min(n, 2048 // batch), k, *draw.choice(FORMATS))
        card = resolve_card(CARDS[number % len(CARDS)])
        warm = draw.choice(({}, {}, {"a": 1.0, "b": 1.0}))
        best, seconds, tried = one_by_one(shape, card, warm)
        plan = tune(shape, card, 1.0, warm)
        chosen = plan.offer, plan.splits, plan.seconds, plan.tried
        if plan.kernel != "matvec" and chosen != (best.offer, best.splits, seconds, tried):
            found.append(f"{card.name} {shape}: {plan} instead of {best}")
    return found


def test_what_is_not_simulated_could_not_have_won() -> None:
    assert differing(len(CARDS)) == []


@pytest.mark.slow
def test_what_is_not_simulated_could_not_have_won_a_few_hundred() -> None:
    assert differing(30 * len(CARDS)) == []


def test_most_candidates_need_no_simulation(monkeypatch) -> None:
    """The point of the bounds: of the skinny products of adapters, most is left out."""
    run = []
    plain = Group.time_ps

    def counted(group, at, below):
        run.append(at)
        return plain(group, at, below)

    monkeypatch.setattr(Group, "time_ps", counted)
    plan = tune(Shape(1, 5120, 16, 8192, "bf16", "bf16"), resolve_card("t20"))
    assert plan.tried > 30
    assert len(run) < plan.tried / 2


def test_a_column_of_demands_survives_as_each_does() -> None:
    demands = np.array([0.0, 1e6, 3e7, 5e7, 1e8, 1e9])
    for on in ("t21", "h100", "v100"):
        card = resolve_card(on)
        assert survive(demands, card).tolist() == [survives(d, card) for d in demands]


def test_only_kernels_that_are_built_alike_are_weighed_together() -> None:
    shape, card = Shape(1, 512, 512, 4096, "bf16", "bf16"), resolve_card("a100")
    ways, _ = ordered(shape, card, 1.0, {})
    place, groups = groups_of(shape, engines_of(card), ways, {})
    assert len(groups) == 2
    assert sorted(place) == [(g, r) for g in (0, 1) for r in range(len(groups[g].ways))]
    assert set(groups[0].ways.splits.tolist()) == {1}
    assert len(bodies_of(shape, engines_of(card), groups[1].ways)(0)) == 2
