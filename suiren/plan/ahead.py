"""Kernels of distinct layers tuned ahead, in processes, before layouts are evaluated.

Layouts of one split share their kernels, so units in several processes would tune the same ones.
Distinct shares of the layers have distinct shapes: they are dealt out instead, and what each
process tunes is found on disk by all others.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from suiren.fleet.known import SHARE
from suiren.fleet.layout import Layout
from suiren.fleet.many import memory_of_rows
from suiren.fleet.share import share_of
from suiren.fleet.step import pieces_of
from suiren.mapper.plans import keep_plans
from suiren.plan.choices import kinds_of
from suiren.plan.row import memory_of
from suiren.plan.search import Runner
from suiren.plan.unit import Evaluator, Found, Unit

#: A share that takes longer than this has kernels that nobody tuned yet.
KNOWN_S = 0.1
#: Work below which processes cost more than they save: each loads the product before it begins.
FEW_S = 6.0


class Beside:
    """Prices layouts one after the other in a thread, while the caller waits for a recorder.

    A context; at its end what has not begun is left for the search to price.
    """

    def __init__(self, job: Evaluator) -> None:
        self._job = job

    def __enter__(self) -> Beside:
        self._pool = ThreadPoolExecutor(1, "tuning")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def price(self, layout: Layout) -> None:
        """A layout for the thread's queue, on every machine of the question."""
        for machine in range(len(self._job.problem.machines)):
            self._pool.submit(_price, self._job, [(machine, layout)])


def tuned_ahead(run: Runner, jobs: int) -> Runner:
    """The runner behind tuning: only what units still to be evaluated need is tuned."""

    def both(units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
        tune_ahead(units, job, jobs)
        yield from run(units, job)

    return both


def tune_ahead(units: Sequence[Unit], job: Evaluator, jobs: int) -> None:
    """Tunes what the layouts that fit need; does nothing where all of it is known already."""
    work, taken_s = shares_that_fit(units, job), 0.0
    while work:
        started = time.process_time()
        _price(job, [work.pop()])
        taken_s = time.process_time() - started
        if taken_s > KNOWN_S:
            break
        work = work[: len(work) // 2]  # a few probes tell as much as all
    if len(work) < 2 * jobs or jobs < 2 or len(work) * taken_s < FEW_S:
        return
    keep_plans()
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(jobs, context) as pool:
            for done in [pool.submit(_price, job, work[n::jobs]) for n in range(jobs)]:
                done.result()
    except BrokenProcessPool:
        return  # what they tuned is kept, the rest is tuned when it is needed


def shares_that_fit(units: Sequence[Unit], job: Evaluator) -> list[tuple[int, Layout]]:
    """(machine, a layout) for each distinct share of the layers among the layouts that fit.

    Of those that differ only in what is computed again one stands for all: they have one set of
    kernels.
    """
    found: dict[tuple[int, ...], tuple[int, Layout]] = {}
    for unit in units:
        machine = job.problem.machines[unit.machine]
        needed = memory_of_rows(job.model, unit.layouts, machine.cluster(), job.framework)
        rows = unit.layouts.select(needed <= memory_of(job.problem, machine))
        for key, layout in kinds_of(rows, _ORDER):
            found.setdefault((unit.machine, *key), (unit.machine, layout))
    kernels: dict[tuple[int, ...], tuple[int, Layout]] = {}
    for key, one in found.items():
        kernels.setdefault((key[0], *key[1 + len(_AGAIN) :]), one)
    return list(kernels.values())


#: Columns of a share that decide which kernels run again, not which there are.
_AGAIN = ("recompute", "overlap_tensor")
_ORDER = (*_AGAIN, *(name for name in SHARE if name not in _AGAIN))


def _price(job: Evaluator, work: Sequence[tuple[int, Layout]]) -> None:
    for machine, layout in work:
        cluster = job.problem.machines[machine].cluster()
        pieces_of(share_of(job.model, layout, job.framework), cluster, layout)
    keep_plans()
