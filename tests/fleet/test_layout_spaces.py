"""Layouts as columns: there and back, the same rules, and spaces that leave nothing out."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suiren.fleet.columns import CODES, FIXED, NAMES
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.layouts import REASONS, Layouts, blocks, space
from suiren.fleet.model import Model
from suiren.fleet.models import gpt, llama

TINY = gpt("tiny", 12, 96, 6, 96, 100)
MIXTURE = replace(llama("tiny-mixture", 6, 64, 4, 4, 128, 100, 64), experts=4, top_k=2)

any_layout = st.builds(
    Layout,
    **{name: st.sampled_from(values) for name, values in CODES.items()},
    **{name: st.integers(0, 9) for name in NAMES if name not in CODES},
)


@settings(max_examples=30)
@given(st.lists(any_layout, max_size=5))
def test_layouts_come_back_as_they_went(layouts: list[Layout]) -> None:
    rows = Layouts.of(layouts)
    assert [rows[n] for n in range(len(rows))] == layouts
    again = pickle.loads(pickle.dumps(rows))
    assert [again[n] for n in range(len(rows))] == layouts
    assert rows.ranks.tolist() == [one.ranks for one in layouts]


def test_columns_are_the_fields_of_a_layout() -> None:
    assert {*NAMES, *FIXED} == {f.name for f in fields(Layout)}
    assert not {*NAMES} & {*FIXED}


@settings(max_examples=30)
@given(st.lists(any_layout, min_size=1, max_size=20), st.sampled_from([0, 32]))
def test_rules_are_those_of_a_layout(layouts: list[Layout], ranks: int) -> None:
    for model in (TINY, MIXTURE):
        for layout, reason in zip(layouts, Layouts.of(layouts).reasons(model, ranks), strict=True):
            try:
                layout.check(model, ranks)
            except BadLayout:
                assert 0 < reason < REASONS.index("no peak known")
            else:
                assert reason == 0


@pytest.mark.parametrize(("broken", "reason"), [
    ({"dp": 0}, "less than one"), ({"dp": 99}, "too many ranks"),
    ({"micro_batch": 7}, "batch does not divide"), ({"tp": 4}, "heads do not divide"),
    ({"pp": 13}, "too few layers"), ({"vpp": 2}, "chunks without a pipeline"),
    ({"pp": 3, "vpp": 2}, "micro-batches do not divide"), ({"ep": 2}, "experts do not divide"),
    ({"cp": 5}, "tokens do not divide"), ({"zero": 4}, "no such zero"),
    ({"zero": 2, "pp": 2}, "zero with a pipeline"),
])  # fmt: skip
def test_each_rule_has_its_reason(broken: dict[str, int], reason: str) -> None:
    layout = Layout(**{"global_batch": 16, **broken})  # type: ignore[arg-type]
    assert REASONS[Layouts.of([layout]).reasons(TINY, 32)[0]] == reason


def listed(model: Model, ranks: int, **choices: tuple[object, ...]) -> set[Layout]:
    """The space, one layout after the other, by the rules that `blocks` states."""
    found = set()
    for values in product(*choices.values()):
        given = dict(zip(choices, values, strict=True))
        dp, rest = divmod(ranks, given["tp"] * given["cp"] * given["pp"])  # type: ignore[operator]
        if rest:
            continue
        layout = Layout(dp=dp, **given)
        try:
            layout.check(model)
        except BadLayout:
            continue
        same = layout.tp == 1 and (layout.sequence_parallel or layout.overlap_tensor)
        alone = layout.pp == 1 and layout.schedule == "zero-bubble"
        if not same and not alone and (layout.schedule == "interleaved") == (layout.vpp > 1):
            found.add(layout)
    return found


@pytest.mark.parametrize("model", [TINY, MIXTURE])
def test_a_space_is_all_that_its_choices_leave(model: Model) -> None:
    choices: dict[str, tuple[object, ...]] = {
        "global_batch": (8, 12), "tp": (1, 2, 3, 4), "pp": (1, 2, 3, 4), "cp": (1, 2),
        "ep": (1, 2), "vpp": (1, 2, 3), "micro_batch": (1, 2, 3), "zero": (0, 2),
        "schedule": CODES["schedule"], "sequence_parallel": (False, True),
        "overlap_tensor": (False, True),
    }  # fmt: skip
    rows = space(model, 12, **choices, recompute="full", overlap_gradients=True)
    want = listed(model, 12, **choices, recompute=("full",), overlap_gradients=(True,))
    found = [rows[n] for n in range(len(rows))]
    assert len(set(found)) == len(found)
    assert set(found) == want and len(want) > 50


def test_what_is_left_out_takes_every_divisor() -> None:
    rows = space(TINY, 12, global_batch=24)
    assert set(rows.tp.tolist()) == {1, 2, 3, 6}
    assert set(rows.pp.tolist()) == {1, 2, 3, 4, 6, 12}
    assert set(rows.vpp[rows.pp == 2].tolist()) == {1, 2, 3, 6}
    assert set(rows.micro_batch[rows.dp == 4].tolist()) == {1, 2, 3, 6}
    assert (rows.ranks == 12).all() and (rows.reasons(TINY, 12) == 0).all()
    assert sum(len(block) for block in blocks(TINY, 12, global_batch=24)) == len(rows)


def test_choices_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match="depth is no choice of a layout; choices are global_batc"):
        space(TINY, 8, global_batch=8, depth=3)
    with pytest.raises(ValueError, match="schedule cannot be '1f2b'; known are 1f1b, gpipe"):
        space(TINY, 8, global_batch=8, schedule="1f2b")
    with pytest.raises(ValueError, match="needs a global_batch"):
        space(TINY, 8)
    assert len(space(TINY, 8, global_batch=7, pp=1)) == 0
