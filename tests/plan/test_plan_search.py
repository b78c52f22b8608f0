"""The search: the optimum of the whole space, kept through interruptions and dying workers."""

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.memory import messages_bytes
from suiren.fleet.sharded_framework import PYTORCH
from suiren.fleet.share import share_of
from suiren.plan.ahead import shares_that_fit, tune_ahead
from suiren.plan.alike import alike
from suiren.plan.answer import explained
from suiren.plan.change import smallest_change
from suiren.plan.choices import units_of
from suiren.plan.planner import Planner, find, prepare
from suiren.plan.problem import BadProblem, Limits, Machine, Problem
from suiren.plan.row import Row, front, measure, memory_of
from suiren.plan.screen import render
from suiren.plan.search import here, in_processes, search
from suiren.plan.sensitivity import swings, worth_moving
from suiren.plan.store import Store
from suiren.plan.unit import Evaluator, Found
from suiren.plan.why import WORDS, reason

T20 = Machine(name="t20x8", ranks=4)
CHOICES = {"micro_batch": (1, 2, 4), "vpp": (1, 2), "schedule": ("1f1b", "interleaved")}
ZERO_BUBBLE = {"micro_batch": (1,), "vpp": (1,), "pp": (2,), "schedule": ("zero-bubble",)}
SMALL = Problem(
    model="gpt3-1.3b", machines=(T20,), global_batch=16, seq=512, framework="megatron-core",
    choices=CHOICES,
)  # fmt: skip


def breaks(row: Row, problem: Problem, memory_bytes: float) -> bool:
    """The rule of limits, said once more for one row."""
    limits = problem.limits
    if row.memory_bytes > memory_bytes or 0 < limits.power_w < row.power_w:
        return True
    all_s = problem.tokens / row.tokens_per_s
    money = row.cost * all_s / row.step_s
    return 0 < limits.deadline_s < all_s or 0 < limits.budget < money


def quiet(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total and what in ("record", "layouts")


def best(problem: Problem) -> Row:
    found = find(prepare(problem), quiet).found
    return min(found.best, key=lambda row: measure(row, problem))


@pytest.fixture(scope="module")
def planner() -> Planner:
    return prepare(SMALL)


@pytest.fixture(scope="module")
def exhaustive(planner: Planner) -> list[Row]:
    """Every layout of the space, each worked out by itself by the step of one layout."""
    rows = []
    for unit in units_of(SMALL, planner.model):
        for number in range(len(unit.layouts)):
            layout = unit.layouts[number]
            step = planner.step_of(layout, 0)
            memory = step.memory if not isinstance(step.memory, tuple) else step.peak_memory
            rows.append(Row(0, layout, step.step_s, memory.total_bytes, step.energy_j,
                            step.energy_j / step.step_s, step.mfu, step.tokens_per_s, 0.0,
                            memory.owners()))  # fmt: skip
    return rows


@pytest.mark.parametrize("goal", ["time", "energy"])
def test_the_planner_finds_the_optimum_of_the_whole_space(planner, exhaustive, goal):
    problem = replace(SMALL, goal=goal)
    limit = memory_of(problem, T20)
    fitting = [row for row in exhaustive if not breaks(row, problem, limit)]
    want = min(fitting, key=lambda row: measure(row, problem))
    got = best(problem)
    assert measure(got, problem)[0] == pytest.approx(measure(want, problem)[0], rel=1e-9)
    outcome = find(replace(planner, problem=problem), quiet)
    assert (outcome.found.searched, outcome.found.fitting) == (len(exhaustive), len(fitting))


def test_nothing_beats_the_front(exhaustive):
    kept = front(exhaustive)
    assert 1 < len(kept) < len(exhaustive)
    for row in exhaustive:
        assert any(
            k.step_s <= row.step_s and k.memory_bytes <= row.memory_bytes
            and k.energy_j <= row.energy_j for k in kept
        )  # fmt: skip


def test_a_search_that_was_stopped_goes_on_where_it_was(planner, tmp_path: Path):
    units = units_of(SMALL, planner.model)
    job = Evaluator(SMALL, planner.model, planner.framework)
    whole = search(units, job, here, None, quiet)
    store = Store(tmp_path / "s.sqlite")

    def stopped(left, job):
        for unit in left[:2]:
            yield unit, job(unit)
        raise KeyboardInterrupt

    part = search(units, job, stopped, store, quiet)
    assert not part.is_whole and part.found.searched == sum(len(u.layouts) for u in units[:2])
    again: list[int] = []

    def counted(left, job):
        for unit in left:
            again.append(unit.number)
            yield unit, job(unit)

    rest = search(units, job, counted, Store(tmp_path / "s.sqlite"), quiet)
    assert again == [u.number for u in units[2:]]
    assert rest.is_whole and rest.found == whole.found


class Dying(Evaluator):
    """Ends its process at one unit, as often as a file allows."""

    def __call__(self, unit) -> Found:
        mark = Path(os.environ["SUIREN_TEST_DEATHS"])
        if unit.number == 1 and len(mark.read_text()) < int(os.environ["SUIREN_TEST_MOST"]):
            mark.write_text(mark.read_text() + "x")
            os._exit(9)
        return Evaluator.__call__(self, unit)


@pytest.mark.parametrize(
    "deaths", [1, pytest.param(99, marks=pytest.mark.slow)], ids=["once", "always"]
)
def test_a_worker_that_is_killed_loses_nothing_of_the_others(
    planner, tmp_path, monkeypatch, deaths
):
    (tmp_path / "deaths").write_text("")
    monkeypatch.setenv("SUIREN_TEST_DEATHS", str(tmp_path / "deaths"))
    monkeypatch.setenv("SUIREN_TEST_MOST", str(deaths))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    units = units_of(replace(SMALL, choices=CHOICES | {"tp": (1,), "micro_batch": (1,)}),
                     planner.model)[:3]  # fmt: skip
    job = Dying(SMALL, planner.model, planner.framework)
    plain = search(units, Evaluator(SMALL, planner.model, planner.framework), here, None, quiet)
    outcome = search(units, job, in_processes(1), None, quiet)
    if deaths == 1:
        assert outcome.is_whole and outcome.found == plain.found
    else:
        assert not outcome.is_whole and "ended 3 times" in outcome.lost[0]
        assert outcome.found.searched == sum(len(u.layouts) for u in (units[0], units[2]))


def test_limits_leave_out_what_breaks_them():
    free = best(SMALL)
    tight = best(replace(SMALL, limits=Limits(memory_bytes=0.6 * free.memory_bytes)))
    assert tight.memory_bytes <= 0.6 * free.memory_bytes and tight.step_s > free.step_s
    cool = best(replace(SMALL, limits=Limits(power_w=0.9 * free.power_w)))
    assert cool.power_w <= 0.9 * free.power_w
    tokens = 1e9
    days = replace(SMALL, tokens=tokens, limits=Limits(deadline_s=0.5 * tokens / free.tokens_per_s))
    outcome = find(prepare(days), quiet)
    assert not outcome.found.best and dict(outcome.found.broken)["deadline"]


def test_fewest_chips_are_as_many_as_the_deadline_needs():
    machines = tuple(Machine(name="t20x8", ranks=n) for n in (1, 2, 4, 8))
    slowest = best(replace(SMALL, machines=machines[1:2]))
    tokens = 1e9
    problem = replace(SMALL, machines=machines, tokens=tokens, goal="chips",
                      limits=Limits(deadline_s=1.01 * tokens / slowest.tokens_per_s))  # fmt: skip
    assert best(problem).layout.ranks == 2


def test_machines_of_a_price_are_compared_by_it():
    machines = (replace(T20, price_per_card_hour=1.0),
                Machine(name="dgx-a100", ranks=4, price_per_card_hour=100.0))  # fmt: skip
    both = replace(SMALL, machines=machines)
    assert best(replace(both, goal="time")).machine == 1
    assert best(replace(both, goal="cost")).machine == 0


def test_what_does_not_fit_is_told_with_the_smallest_change():
    problem = Problem(
        model="llama3-8b", machines=(T20,), global_batch=16, framework="megatron-core",
        choices={"tp": (1,), "pp": (1,), "recompute": ("none",), "offload": ("none",)},
    )  # fmt: skip
    planner = prepare(problem)
    outcome = find(planner, quiet)
    assert not outcome.found.best and outcome.found.near
    change = smallest_change(planner)
    assert change is not None
    assert change.row.memory_bytes <= memory_of(problem, T20)
    # one thing released would not do, two do: the sentence names the least that does
    assert "vary" in change.sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model": "lama3-8b"}, "near it"),
        ({"goal": "cost"}, "no price of t20x8"),
        ({"goal": "chips"}, "--tokens"),
        ({"limits": Limits(deadline_s=5.0)}, "--tokens"),
        ({"framework": "megatrom"}, "known are pytorch, megatron"),
        ({"choices": {"tp": (3,)}}, "no layout of gpt3-1.3b on 4 cards"),
        ({"choices": {"pt": (3,)}}, "pt is no choice of a layout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_question_that_cannot_be_answered_says_why(changes, sentence):
    with pytest.raises((BadProblem, BadLayout, ValueError), match=sentence):
        find(prepare(replace(SMALL, **changes)), quiet)


def test_a_store_that_is_no_store_is_named(tmp_path):
    (tmp_path / "s.sqlite").write_text("no database, surely not one")
    with pytest.raises(BadProblem, match="cannot hold a search"):
        Store(tmp_path / "s.sqlite")


def test_a_table_shows_no_row_twice_and_all_rows_that_are_alike_once(exhaustive):
    rows = sorted(exhaustive, key=lambda row: row.step_s)
    shown = alike(rows + rows, 10)
    told = [row for one in shown for row in (one.row, *one.twins)]
    assert len(shown) == 10 <= len(told)
    assert len({(row.label, row.layout.ranks) for row in told}) == len(told)
    for one in shown:
        assert bool(one.knobs) == bool(one.twins)
        for twin in one.twins:
            assert abs(twin.step_s / one.row.step_s - 1) < 1e-3
            assert abs(twin.memory_bytes / one.row.memory_bytes - 1) < 2e-2
            assert (twin.layout.tp, twin.layout.micro_batch) == (
                one.row.layout.tp, one.row.layout.micro_batch
            )
    # nothing that is faster than the last answer is left out
    last = shown[-1].row.step_s
    assert {row.label for row in rows if row.step_s < last} <= {row.label for row in told}


def test_knobs_that_do_not_matter_are_named_once():
    layout = Layout(global_batch=8, dp=2, zero=1)
    row = Row(0, layout, 1.0, 1e9, 1.0, 1.0, 0.5, 1.0, 0.0, {})
    other = replace(row, layout=replace(layout, zero=0, recompute="selective"), step_s=1.0004)
    host = replace(row, layout=replace(layout, offload="optimizer"), memory_bytes=0.995e9)
    large = replace(host, memory_bytes=0.97e9, layout=replace(layout, recompute="full"))
    found = alike([row, other, host, large], 10)
    assert [one.row for one in found] == [row, large]
    assert found[0].knobs == "zero 0, recompute selective, offload of the optimizer"
    assert found[1].knobs == ""


@pytest.mark.parametrize("layout", [
    Layout(global_batch=16, pp=2, dp=2), Layout(global_batch=16, tp=4),
    Layout(global_batch=16, dp=4),
])  # fmt: skip
def test_a_reason_speaks_of_every_part_of_a_step(planner, layout):
    parts = planner.step_of(layout, 0).parts_s
    assert set(parts) <= set(WORDS)
    better = Row(0, layout, 1.0, 1e9, 1.0, 1.0, 0.5, 1.0, 0.0, {})
    worse = replace(better, step_s=1.1)
    said = reason(better, worse, {"bubble": 0.0, "beside collectives": 0.2},
                  {"bubble": 0.3, "beside collectives": 0.0})  # fmt: skip
    assert said == ("10.0 % slower: its pipeline stands idle longer (+300 ms), though collectives "
                    "take fewer cores from its kernels (-200 ms)")  # fmt: skip


def test_each_kernel_is_tuned_ahead_once_and_only_for_layouts_that_fit(planner, exhaustive):
    units = units_of(SMALL, planner.model)
    job = Evaluator(SMALL, planner.model, planner.framework)
    work = shares_that_fit(units, job)
    sizes = {(one.tp, one.micro_batch) for _, one in work}
    assert len(work) == len(sizes)
    least = min(row.memory_bytes for row in exhaustive)
    tight = replace(job, problem=replace(SMALL, limits=Limits(memory_bytes=1.1 * least)))
    assert 0 < len(shares_that_fit(units, tight)) < len(work)
    tune_ahead(units, job, 1)


def test_the_step_hangs_on_what_the_card_is_assumed_to_do(planner):
    row = best(SMALL)
    found = {s.fact: s for s in swings(planner, row)}
    assert all(s.kind == "assumed" for s in found.values())
    clock = found["clock_hz"]
    assert clock.step_s_low > row.step_s > clock.step_s_high
    assert clock.step_s_low < row.step_s / 0.79
    assert "chip.matrix.int8" not in found
    every = {name for name, _ in worth_moving(T20.cluster(), True)}
    assert set(found) < every and "memory_bytes_per_s" in every


def told(**changes: object) -> str:
    """What the screen says to a question that has no answer, without the search for a change."""
    problem = replace(SMALL, **changes)
    planner = prepare(problem)
    outcome = replace(find(planner, quiet), is_whole=False)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(explained(planner, outcome, 5, "none", lambda: 0.0)))
    return console.export_text()


def test_a_limit_that_is_missed_is_told_with_both_numbers():
    late = told(tokens=1e12, limits=Limits(deadline_s=86400.0))
    assert "days, 1.0 are allowed" in late and "GiB too much" not in late
    hot = told(limits=Limits(power_w=200.0))
    assert "kW, 0.2 kW are allowed" in hot
    priced = (replace(T20, price_per_card_hour=2.0),)
    dear = told(machines=priced, tokens=1e12, limits=Limits(budget=10.0))
    assert ", 10 are allowed" in dear


def test_a_format_that_the_card_lacks_is_refused():
    with pytest.raises(BadProblem, match=r"does not multiply in fp8; it does in .*bf16"):
        find(prepare(replace(SMALL, choices={"precision": ("fp8",)})), quiet)


def test_buffers_of_messages_count_where_the_framework_makes_them_ahead():
    layout = Layout(global_batch=64, pp=2, vpp=4, schedule="interleaved")
    share = share_of(prepare(SMALL).model, layout, PYTORCH)
    size = 512 * 2048 * 2
    in_flight = 9  # chunks; what they will send is not sent yet
    assert messages_bytes(layout, share, 0) == (7 * 64 + 7 * 64 - in_flight) * size
    alone = replace(layout, vpp=1, schedule="1f1b")
    assert messages_bytes(alone, share, 0) == 64 * size
    assert messages_bytes(replace(layout, pp=1, vpp=1), share, 0) == 0


def test_what_was_found_is_of_this_question_and_its_files(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"hidden_size": 64}')
    one = replace(SMALL, model=str(config))
    before = one.key
    assert before == replace(one, goal="time").key != replace(one, goal="energy").key
    config.write_text('{"hidden_size": 128}')
    assert one.key != before


def test_schedules_that_pytorch_cannot_run_are_not_offered():
    model = prepare(SMALL).model
    traced = units_of(replace(SMALL, framework="pytorch", choices=ZERO_BUBBLE), model)
    listed = units_of(replace(SMALL, choices=ZERO_BUBBLE), model)
    assert {int(r) for u in traced for r in u.layouts.recompute} == {0}
    assert {int(r) for u in listed for r in u.layouts.recompute} == {0, 1, 2}
