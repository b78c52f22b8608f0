"""The steps of many layouts at once: every number that `train_step` and `sharded_step` would give.

What rows share is worked out once by the functions of a single step (`fleet/known.py`); the rest
is arithmetic on columns. Rows are taken shape by shape of their pipelines, because the chunks of
one shape are of the same few kinds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from suiren.fleet.columns import CODES, REASONS, Layouts
from suiren.fleet.framework import MEGATRON_CORE, Framework
from suiren.fleet.known import Job, Known, known_of, share_key
from suiren.fleet.layout import BadLayout
from suiren.fleet.many_memory import OWNERS, owners_of, total_of
from suiren.fleet.many_passes import passes_of
from suiren.fleet.many_sharded import sharded_of, sharded_owners_of
from suiren.fleet.model import Model
from suiren.fleet.sharded_framework import Sharded
from suiren.hw.cluster import Cluster

Floats = NDArray[np.float64]
#: Rows worked on at once: their columns take some hundred MB.
BLOCK_ROWS = 1 << 17


@dataclass(frozen=True, eq=False)
class Many:
    """Columns [rows]. Impossible rows take infinitely long and need infinitely much."""

    layouts: Layouts
    refusals: dict[tuple[int, ...], str]
    """Why there are no parts for a share, by `known.share_key`."""
    reason: NDArray[np.int8]
    """Number in `REASONS`; 0 for rows that are possible."""
    step_s: Floats
    clock: Floats
    """Share of the full clock that the power limit allows."""
    power_w: Floats
    """Of a card of the stage that draws most."""
    mfu: Floats
    tokens_per_s: Floats
    memory_bytes: Floats
    """Peak of the stage that needs most."""
    owners_bytes: dict[str, Floats]
    """What that stage's memory holds."""
    energy_j: Floats
    """Of all cards, a step: what each stage's kernels take, and idle power for as long as it
    lasts."""

    def __len__(self) -> int:
        return len(self.step_s)

    def why(self, row: int, model: Model, cluster: Cluster) -> str:
        """Why a row is impossible, in one sentence; empty for one that is possible."""
        if not self.reason[row]:
            return ""
        layout = self.layouts[row]
        if REASONS[self.reason[row]] == "parts cannot be traced":
            return self.refusals[share_key(self.layouts, row)]
        try:
            layout.check(model, cluster.num_ranks)
        except BadLayout as problem:
            return str(problem)
        if REASONS[self.reason[row]] == "no peak known":
            return f"no peak of {cluster.card.title} was ever published: nothing can be timed"
        return (f"zero {layout.zero} gathers weights layer by layer: that takes a framework that "
                "shards (fleet/sharded_framework.py)")  # fmt: skip


def steps_of(
    model: Model, layouts: Layouts, cluster: Cluster, framework: Framework = MEGATRON_CORE,
    progress: Callable[[int], None] | None = None,
) -> Many:  # fmt: skip
    """The step of every row; `progress` is told how many rows are done after each block.

    Rows with zero 0 or 1 are as `step.train_step` tells, others as `sharded.sharded_step`.
    """
    known = known_of(Job(model, cluster, framework))
    reason = _reasons(layouts, known)
    numbers = {name: np.zeros(len(layouts)) for name in _NUMBERS}
    for name in ("step_s", "memory_bytes", "energy_j"):
        numbers[name][:] = np.inf
    for low in range(0, len(layouts), BLOCK_ROWS):
        here = np.arange(low, min(len(layouts), low + BLOCK_ROWS))
        here = here[reason[here] == 0]
        sharded = layouts.zero[here] > 1
        for rows, told in ((here[~sharded], _plain), (here[sharded], sharded_of)):
            if len(rows):
                for name, column in _whole(layouts.select(rows), known, told).items():
                    numbers[name][rows] = column
        if progress is not None:
            progress(min(len(layouts), low + BLOCK_ROWS))
    owners = {name: numbers.pop(name) for name in OWNERS}
    return Many(layouts, known.refusals, reason, owners_bytes=owners, **numbers)


def memory_of_rows(
    model: Model, layouts: Layouts, cluster: Cluster, framework: Framework = MEGATRON_CORE
) -> Floats:
    """`Many.memory_bytes` of every row [rows], without timing anything."""
    known = known_of(Job(model, cluster, framework))
    reason = _reasons(layouts, known)
    found = np.full(len(layouts), np.inf)
    for is_sharded, told in ((False, owners_of), (True, sharded_owners_of)):
        rows = np.flatnonzero((reason == 0) & ((layouts.zero > 1) == is_sharded))
        if len(rows):
            found[rows] = total_of(told(layouts.select(rows), known))
    return found


_NUMBERS = (*OWNERS, "step_s", "clock", "power_w", "mfu", "tokens_per_s", "memory_bytes",
            "energy_j")  # fmt: skip


def _reasons(layouts: Layouts, known: Known) -> NDArray[np.int8]:
    """Why rows are impossible: the rules of a layout, then what the steps themselves refuse."""
    job = known.job
    found = layouts.reasons(job.model, job.cluster.num_ranks)
    if not isinstance(job.framework, Sharded):
        found[(found == 0) & (layouts.zero > 1)] = REASONS.index("zero without sharding")
    if not job.cluster.card.can_time:
        found[found == 0] = REASONS.index("no peak known")
    left = np.flatnonzero(found == 0)
    found[left[known.refused(layouts.select(left))]] = REASONS.index("parts cannot be traced")
    return found


def _plain(rows: Layouts, known: Known) -> dict[str, Floats]:
    """Step, clock, watts, joules and owners of rows whose ranks hold their weights whole."""
    passes = passes_of(rows, known)
    after, place = known.after(rows, passes.most)
    reduce_s, gather_s, buckets, tied_s, optimizer_s, optimizer_j = after[:, place]
    part = np.where(rows.overlap_gradients == 1, 1 - 1 / buckets, 0.0)
    gradients_s = (reduce_s - np.minimum(reduce_s * part, passes.backward_s)) + (
        gather_s - np.minimum(gather_s * part, passes.forward_s)
    )
    step_s = passes.seconds + (gradients_s + tied_s + optimizer_s)
    found = {"step_s": step_s, "clock": passes.clock, "power_w": passes.power_w,
             "dynamic_j": rows.ranks / rows.pp * (passes.dynamic_j + optimizer_j)}  # fmt: skip
    return found | owners_of(rows, known)


def _whole(
    rows: Layouts, known: Known, told: Callable[[Layouts, Known], dict[str, Floats]]
) -> dict[str, Floats]:
    """All numbers of possible rows from those that only one sort of step can tell."""
    found = told(rows, known)
    dynamic_j = found.pop("dynamic_j")
    model, card = known.job.model, known.job.cluster.card
    names = [str(name) for name in CODES["precision"]]
    peaks = [card.peak_flop_per_s(name) or card.peak_flop_per_s("bf16") or 0.0 for name in names]
    peak = np.array(peaks, np.float64)[rows.precision]
    useful = model.flop_per_sample() * known.job.framework.needed_share * rows.global_batch
    step_s, ranks = found["step_s"], rows.ranks
    card_s = step_s * ranks
    full = card_s * peak
    return found | {
        "mfu": np.divide(useful, full, out=np.zeros_like(full), where=full > 0),
        "tokens_per_s": rows.global_batch * float(model.seq) / step_s,
        "memory_bytes": total_of(found),
        "energy_j": np.minimum(dynamic_j + float(card.idle_w) * card_s, float(card.tdp_w) * card_s),
    }
