"""From a question to the best layouts, with reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from suiren.fleet.framework import Framework
from suiren.fleet.layout import BadLayout, Layout
from suiren.fleet.model import Model
from suiren.fleet.sharded import ShardedStep, sharded_step
from suiren.fleet.sharded_framework import PYTORCH, Sharded
from suiren.fleet.share import share_of
from suiren.fleet.step import StepResult, train_step
from suiren.plan.ahead import Beside, tuned_ahead
from suiren.plan.choices import MOST_MICRO_BATCH, powers, same_share, shares_of, units_of
from suiren.plan.configs import Known, find_known, with_layer_params
from suiren.plan.problem import BadProblem, Problem
from suiren.plan.row import Row
from suiren.plan.script import read_script
from suiren.plan.search import Outcome, Runner, Told, runner_for, search
from suiren.plan.store import Store
from suiren.plan.traced import Traced
from suiren.plan.unit import Evaluator, Unit, framework_for, merged


@dataclass(frozen=True)
class Planner:
    """A question made ready: the model, its parts, and how a step of it is worked out."""

    problem: Problem
    known: Known
    model: Model
    framework: Framework

    @property
    def source(self) -> Traced | None:
        """Where traced parts come from; None for formulas."""
        found = self.framework.source
        return found if isinstance(found, Traced) else None

    def step(self, row: Row) -> StepResult | ShardedStep:
        """The step of a row, whole."""
        return self.step_of(row.layout, row.machine)

    def step_of(self, layout: Layout, machine: int) -> StepResult | ShardedStep:
        """The step of a layout on a machine of the problem; raises BadLayout."""
        cluster = self.problem.machines[machine].cluster()
        if layout.zero > 1:
            if not isinstance(self.framework, Sharded):
                raise BadLayout(f"zero {layout.zero} needs a framework that shards weights")
            return sharded_step(self.model, layout, cluster, self.framework)
        return train_step(self.model, layout, cluster, self.framework)


def prepare(problem: Problem) -> Planner:
    """The model and its parts; raises BadModel, BadProblem, BadLayout."""
    problem.check()
    if problem.is_script:
        return _script(problem)
    known = find_known(problem.model, problem.seq)
    framework = problem.framework_of()
    if framework is not PYTORCH:
        words = f"layers listed by formula as {framework.title} issues them"
        known = replace(known, source=words)
    elif known.config is not None:
        return _traced(problem, known, known.config)
    listed = framework_for(framework, None, problem.lora_rank, _adapters(known, problem))
    return Planner(problem, known, known.model, listed)


def _traced(problem: Problem, known: Known, config: dict[str, Any]) -> Planner:
    """A model whose layers are recorded from its modules."""
    source = Traced(config, problem.lora_rank)
    counted = source.count()["layer"]
    adapters = counted[1] if problem.lora_rank else 0
    model = with_layer_params(known, counted[0] - adapters)
    return Planner(problem, known, model,
                   framework_for(PYTORCH, source, problem.lora_rank, adapters))  # fmt: skip


def _script(problem: Problem) -> Planner:
    """A user's script as a model of one layer."""
    names = {m.cluster().card.name for m in problem.machines}
    card = sorted(names)[0]
    for name in ("tp", "pp", "cp", "ep", "vpp"):
        if problem.choices.get(name, (1,)) != (1,):
            raise BadProblem(f"a script is planned for in whole copies, so --{name} can only be 1; "
                             "what can vary is --micro-batch, --zero and --offload")  # fmt: skip
    wanted = problem.choices.get("micro_batch") or tuple(
        m for m in powers(MOST_MICRO_BATCH) if problem.global_batch % m == 0
    )
    read = read_script(Path(problem.model), problem.arguments, card, wanted)
    choices = {"tp": (1,), "pp": (1,), "cp": (1,), "ep": (1,), "vpp": (1,), "zero": (0, 1),
               "recompute": ("none",), "schedule": ("1f1b",), "precision": (read.precision,),
               "micro_batch": tuple(read.source.parts), "sequence_parallel": (False,)}  # fmt: skip
    asked = {n: v for n, v in problem.choices.items() if n in ("zero", "offload")}
    whole = replace(problem, choices=choices | asked)
    source = f"{problem.model}, run once for each micro-batch"
    return Planner(whole, Known(read.model, None, source), read.model,
                   framework_for(PYTORCH, read.source, 0, 0.0))  # fmt: skip


def _adapters(known: Known, problem: Problem) -> float:
    """Weights of a layer's adapters by formula: two low-rank parts beside each product."""
    model, rank = known.model, problem.lora_rank
    q, kv = model.heads * model.head, model.groups * model.head
    products = [(model.d_model, q), (model.d_model, kv), (model.d_model, kv), (q, model.d_model)]
    wide = (model.d_model, model.d_ff)
    products += [wide] * (3 if model.gated else 2)
    return float(rank * sum(a + b for a, b in products))


def space_of(planner: Planner, told: Told) -> list[Unit]:
    """The units of a question whose layers can be had; records them where they are traced.

    Modules that cannot be sequence parallel are tried without. Raises BadProblem where no
    layout is left.
    """
    source = planner.source
    units = units_of(planner.problem, planner.model)
    if source is None:
        return units
    kept, reason = _record(planner, source, units, told)
    if reason and "sequence_parallel" not in planner.problem.choices:
        plain = replace(planner.problem, choices=planner.problem.choices
                        | {"sequence_parallel": (False,)})  # fmt: skip
        more = units_of(plain, planner.model)
        also, other = _record(planner, source, more, told)
        split = {one.tp for one in kept if one.sequence_parallel}
        kept += [one for one in also if one.tp not in split]
        units += more
        reason = other or reason
    found: list[Unit] = []
    for unit in units:
        mask = np.zeros(len(unit.layouts), np.bool_)
        for layout in kept:
            mask |= same_share(unit.layouts, layout)
        if mask.any():
            found.append(Unit(len(found), unit.machine, unit.layouts.select(mask)))
    if not found:
        raise BadProblem(f"no layout is left to try: {reason}")
    return found


def _record(
    planner: Planner, source: Traced, units: list[Unit], told: Told
) -> tuple[list[Layout], str]:
    """One layout for each share that could be recorded, and why another could not be.

    While the recorder is at the next share, kernels of the last one are tuned.
    """
    layouts = shares_of(units)
    kept, reason = [], ""
    told("record", 0, len(layouts))
    with Beside(Evaluator(planner.problem, planner.model, planner.framework)) as beside:
        for number, layout in enumerate(layouts, 1):
            before = source.num_recorded
            try:
                source.stack(share_of(planner.model, layout, planner.framework))
                kept.append(layout)
                if source.num_recorded > before:
                    beside.price(layout)
            except BadLayout as problem:
                reason = str(problem)
            told("record", number, len(layouts))
    source.keep()
    return kept, reason


def find(
    planner: Planner, told: Told, jobs: int = 1, store: Store | None = None,
    runner: Runner | None = None,
) -> Outcome:  # fmt: skip
    """Searches the whole space of a question; Ctrl-C is for the search itself to hear."""
    units = space_of(planner, told)
    job = Evaluator(planner.problem, planner.model, planner.framework)
    run = runner or runner_for(sum(len(u.layouts) for u in units), jobs)
    if runner is None and jobs > 1:
        run = tuned_ahead(run, jobs)
    return search(units, job, run, store, told)


def find_or_stop(
    planner: Planner, told: Told, jobs: int, store: Store, runner: Runner | None = None
) -> Outcome:
    """`find`; Ctrl-C before the first layout leaves what an earlier search had found."""
    try:
        return find(planner, told, jobs, store, runner)
    except KeyboardInterrupt:
        known = list(store.done(planner.problem.key).values())
        found = merged(known, planner.problem)
        return Outcome(found, found.searched, False)
