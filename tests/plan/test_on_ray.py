"""The search on a Ray cluster: the same answer as here, with a worker killed in the middle."""

import os
import sys
from pathlib import Path

import pytest

from suiren.plan.choices import units_of
from suiren.plan.planner import prepare
from suiren.plan.problem import BadProblem, Machine, Problem
from suiren.plan.search import here, search
from suiren.plan.unit import Evaluator

pytest.importorskip("ray")
SMALL = Problem(
    model="gpt3-1.3b", machines=(Machine(name="t20x8", ranks=2),), global_batch=8, seq=512,
    framework="megatron-core",
    choices={"micro_batch": (1, 2), "vpp": (1,), "schedule": ("1f1b",)},
)  # fmt: skip


def quiet(what: str, done: int, total: int) -> None:
    """Nobody listens."""


class DyingOnce(Evaluator):
    """Kills its worker at the second unit, the first time it meets it."""

    def __call__(self, unit):
        mark = Path(os.environ["SUIREN_TEST_DEATHS"])
        if unit.number == 1 and not mark.exists():
            mark.write_text("died")
            os.kill(os.getpid(), 9)
        return Evaluator.__call__(self, unit)


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_loses_nothing(tmp_path, monkeypatch):
    from suiren.plan.on_ray import on_ray

    monkeypatch.setenv("SUIREN_TEST_DEATHS", str(tmp_path / "died"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    planner = prepare(SMALL)
    units = units_of(SMALL, planner.model)
    plain = search(units, Evaluator(SMALL, planner.model, planner.framework), here, None, quiet)
    job = DyingOnce(SMALL, planner.model, planner.framework)
    outcome = search(units, job, on_ray("local"), None, quiet)
    assert (tmp_path / "died").exists()
    assert outcome.is_whole and outcome.found == plain.found


def test_a_cluster_that_does_not_answer_is_one_sentence():
    from suiren.plan.on_ray import on_ray

    planner = prepare(SMALL)
    job = Evaluator(SMALL, planner.model, planner.framework)
    with pytest.raises(BadProblem, match=r"no Ray cluster answers at 127\.0\.0\.1:1"):
        search(units_of(SMALL, planner.model), job, on_ray("127.0.0.1:1"), None, quiet)


def test_ray_that_is_missing_is_one_sentence(monkeypatch):
    from suiren.plan.on_ray import on_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadProblem, match="pip install ray"):
        on_ray("local")
