"""Which layouts a planner tries where the user leaves a choice open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, Layouts, code
from suiren.fleet.known import distinct
from suiren.fleet.layout import Layout
from suiren.fleet.layouts import blocks, divisors
from suiren.fleet.model import Model
from suiren.hw.cluster import Cluster
from suiren.plan.problem import BadProblem, Machine, Problem
from suiren.plan.unit import Unit

#: Tokens of the largest micro-batch that is tried: kernels of more gain nothing from size.
MOST_TOKENS = 32768
#: Samples of a script's largest micro-batch.
MOST_MICRO_BATCH = 32
#: Rows of a unit at most.
UNIT_ROWS = 40_000
_PRECISIONS = ("bf16", "fp16", "tf32", "fp32")


def choices_of(problem: Problem, model: Model, machine: Machine) -> dict[str, tuple[Any, ...]]:
    """Values of every choice for a machine; raises BadProblem where nothing is left."""
    cluster = machine.cluster()
    traced = problem.framework == "pytorch"
    found: dict[str, tuple[Any, ...]] = {
        "tp": tuple(_tensor(model, cluster, traced)),
        "pp": tuple(p for p in divisors(machine.ranks) if p <= model.layers),
        "micro_batch": tuple(m for m in powers(max(2, MOST_TOKENS // model.seq))
                             if problem.global_batch % m == 0),
        "cp": (1,), "ep": _experts(model), "zero": _zero(problem),
        "recompute": ("none", "selective", "full"), "offload": ("none", "optimizer"),
        "schedule": ("1f1b", "interleaved", "zero-bubble"),
        "precision": (_precision(cluster),), "sequence_parallel": (True,),
        "overlap_gradients": (True,), "overlap_tensor": (not traced,),
    }  # fmt: skip
    for name, values in problem.choices.items():
        found[name] = values
    formats = cluster.card.formats()
    for precision in found["precision"]:
        if precision not in formats:
            raise BadProblem(f"{cluster.card.title} does not multiply in {precision}; it does in "
                             f"{', '.join(formats)}")  # fmt: skip
    return found | {"global_batch": (problem.global_batch,)}


def powers(most: int) -> list[int]:
    """Powers of two up to a number."""
    return [1 << n for n in range(most.bit_length()) if 1 << n <= most]


def _tensor(model: Model, cluster: Cluster, traced: bool) -> Iterable[int]:
    """Degrees that divide the heads, those of keys too where modules split them."""
    shared = model.groups if traced else model.heads
    return (t for t in powers(cluster.cards_per_node) if model.heads % t == shared % t == 0)


def _experts(model: Model) -> tuple[int, ...]:
    return tuple(e for e in powers(64) if model.experts % e == 0) if model.experts else (1,)


def _zero(problem: Problem) -> tuple[int, ...]:
    # adapters' gradients are too small to share, frozen weights are not gathered here
    sharded = problem.framework == "pytorch" and not problem.lora_rank
    return (0, 1, 2, 3) if sharded else (0, 1)


def _precision(cluster: Cluster) -> str:
    """The narrowest usual format that the card multiplies in."""
    formats = cluster.card.formats()
    return next((p for p in _PRECISIONS if p in formats), "fp32")


def units_of(problem: Problem, model: Model) -> list[Unit]:
    """The whole space in units; raises BadProblem for a choice that does not exist."""
    found: list[Unit] = []
    for number, machine in enumerate(problem.machines):
        try:
            pieces = list(blocks(model, machine.ranks, **choices_of(problem, model, machine)))
        except ValueError as unknown:
            raise BadProblem(str(unknown)) from None
        for whole in pieces:
            piece = whole.select(runs(whole, problem.framework))
            for low in range(0, len(piece), UNIT_ROWS):
                rows = piece.select(slice(low, low + UNIT_ROWS))
                found.append(Unit(len(found), number, rows))
    if not found:
        wanted = ", ".join(f"{n} {'/'.join(map(str, v))}" for n, v in problem.choices.items())
        raise BadProblem(
            f"no layout of {model.name} on {problem.machines[0].ranks} cards has a global batch of "
            f"{problem.global_batch}{' and ' + wanted if wanted else ''}: dp x micro_batch must "
            f"divide it, tp the {model.heads} heads, pp x vpp is at most the {model.layers} "
            f"layers, and dp x tp x pp x cp is the {problem.machines[0].ranks} cards"
        )
    return found


def runs(rows: Layouts, framework: str) -> NDArray[np.bool_]:
    """Rows that the framework can run.

    PyTorch's zero-bubble schedules take a stage's backward pass apart, which its checkpoints do
    not survive.
    """
    if framework != "pytorch":
        return np.ones(len(rows), np.bool_)
    zero_bubble = rows.schedule == CODES["schedule"].index("zero-bubble")
    return np.asarray(~(zero_bubble & (rows.recompute > 0)))


#: Columns that a recording of the layers depends on.
TRACED = ("tp", "cp", "micro_batch", "sequence_parallel", "precision")


def kinds_of(rows: Layouts, columns: Sequence[str]) -> list[tuple[tuple[int, ...], Layout]]:
    """The distinct numbers of some columns, each with the first layout that has them."""
    if not len(rows):
        return []
    arrays = [getattr(rows, name) for name in columns]
    return [(tuple(int(array[at]) for array in arrays), rows[int(at)])
            for at in distinct(arrays)[0]]  # fmt: skip


def shares_of(units: Iterable[Unit]) -> list[Layout]:
    """One layout for each distinct share of the layers."""
    seen: dict[tuple[int, ...], Layout] = {}
    for unit in units:
        for key, layout in kinds_of(unit.layouts, TRACED):
            seen.setdefault(key, layout)
    return list(seen.values())


def same_share(rows: Layouts, layout: Layout) -> NDArray[np.bool_]:
    """Rows whose layers are those of a layout."""
    found = np.ones(len(rows), np.bool_)
    for name in TRACED:
        found &= getattr(rows, name) == code(name, getattr(layout, name))
    return found
