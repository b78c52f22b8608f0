"""Verdicts: yes or no by how much; every change that is offered does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from described import GIVEN_STEP, MODEL, centre

from suiren.centre.changes import Change
from suiren.centre.goal import checks_of
from suiren.centre.study import Study, study
from suiren.centre.verdict import Verdict, verdict

LAYOUTS = MODEL.replace("tp = 1, pp = 1, micro_batch = 2", "tp = 1, pp = [1, 2], micro_batch = 2")


def judged(**given: str) -> tuple[Study, Verdict]:
    found = study(centre(**given), histories=2)
    return found, verdict(found)


def named(found: Verdict, name: str) -> Change:
    return next(change for change in found.changes if change.name == name)


def test_a_goal_that_is_reached_needs_no_change() -> None:
    found, said = judged(goal="days = 30\npower_w = 90e3\nbudget = 20e6\ncapital = 15e6")
    assert said.holds and said.changes == ()
    assert [check.name for check in said.checks] == ["runs", "days", "power_w", "budget", "capital"]
    days = next(check for check in said.checks if check.name == "days")
    assert days.margin == pytest.approx(1 - found.days / 30)


def test_without_a_goal_only_running_counts() -> None:
    assert [check.name for check in judged()[1].checks] == ["runs"]


def test_the_nodes_that_are_offered_are_enough_and_the_next_fewer_are_not() -> None:
    found, said = judged(job=LAYOUTS, goal="days = 2")
    assert not said.holds
    nodes = int(named(said, "nodes").after)
    assert nodes > found.centre.nodes

    def days(count: int) -> float:
        return study(found.centre.with_nodes(count), histories=2).days

    assert days(nodes) <= 2 < days(nodes - 1)


def test_the_tokens_that_are_offered_are_done_in_time() -> None:
    found, said = judged(job=MODEL, goal="days = 1")
    tokens = named(said, "tokens").after
    job = found.centre.jobs[0].model_copy(update={"tokens": tokens})
    assert study(replace(found.centre, jobs=(job,)), histories=2).days == pytest.approx(1)


def test_the_price_that_is_offered_meets_the_budget() -> None:
    found, said = judged(job=MODEL, goal="budget = 12e6")
    price = named(said, "node").after
    cheaper = replace(found.centre.prices, node=price)
    assert study(replace(found.centre, prices=cheaper), histories=2).bill.total <= 12e6 * (1 + 1e-9)
    fewer = named(said, "fewer nodes")
    assert fewer.after < fewer.before
    there = study(found.centre.with_nodes(int(fewer.after)), histories=2)
    assert there.bill.total <= 12e6 and there.days == pytest.approx(fewer.days)


def test_the_limit_that_is_offered_is_the_lowest() -> None:
    """A cap on given steps slows them in proportion: 300 W of the cap that 25 days allow."""
    found, said = judged(goal="days = 25\npower_w = 55e3")
    assert found.cap.why == "site" and found.days > 25
    limit = named(said, "power_w").after
    goal = found.centre.goal
    assert goal is not None

    def holds(watts: float) -> bool:
        wider = replace(found.centre, goal=goal.model_copy(update={"power_w": watts}))
        return all(check.holds for check in checks_of(study(wider, histories=2)))

    assert holds(limit * 1.001) and not holds(limit * 0.99)


def test_a_rack_limit_is_offered_where_racks_bind() -> None:
    machines = "nodes = 16\nnodes_per_rack = 4\nrack_limit_w = 10e3"
    found, said = judged(machines=machines, goal="days = 24")
    assert found.cap.why == "rack"
    assert named(said, "rack_limit_w").after > 10e3


def test_a_layout_is_offered_where_the_file_holds_one_that_does_not_fit() -> None:
    held = MODEL.replace("micro_batch = 2, recompute = \"full\"",
                         "micro_batch = 128, recompute = \"none\"")  # fmt: skip
    found, said = judged(job=held)
    assert not found.works and "does not fit" in found.first.trained.problem
    assert named(said, "layout").text.startswith("tp ")


def test_where_no_one_change_does_each_goal_has_its_own() -> None:
    _, said = judged(job=GIVEN_STEP, goal="days = 20\nbudget = 12e6")
    assert {change.goal for change in said.changes} == {"days", "budget"}
    assert named(said, "steps").goal == "days"


def test_sharded_weights_are_timed_and_held_to_the_memory() -> None:
    free = MODEL.replace('pp = 1, micro_batch = 2, recompute = "full"', "zero = 3")
    found = study(centre(job=free), histories=2)
    layout = found.first.trained.layout
    assert found.works and layout is not None and (layout.zero, layout.pp) == (3, 1)
    assert found.first.trained.memory_bytes <= found.centre.card.memory_bytes
    assert "gather and scatter" in found.first.trained.parts_s
