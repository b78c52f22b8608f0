"""The search: every layout that the choices leave, evaluated by units, in processes if many."""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol

from suiren.plan.store import Store
from suiren.plan.unit import Evaluator, Found, Unit, merged

#: Layouts below which processes cost more than they save.
FEW_LAYOUTS = 60_000
#: How often a unit may end its process before the search goes on without it.
TRIES = 3


class Told(Protocol):
    """Hears how a search goes on."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """`what`: `record` or `layouts`; so many of a total are done."""


class Runner(Protocol):
    """Evaluates units somewhere."""

    def __call__(self, units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
        """Each unit with its answer, as they come; units that cannot be answered are left out."""


@dataclass(frozen=True)
class Outcome:
    """A search that ended, or was stopped."""

    found: Found
    total: int
    """Layouts of the whole space."""
    is_whole: bool
    lost: tuple[str, ...] = ()
    """Sentences about units without an answer."""


def search(
    units: Sequence[Unit], job: Evaluator, run: Runner, store: Store | None, told: Told
) -> Outcome:
    """Evaluates every unit that the store does not know yet.

    Ctrl-C ends it with what was found until then.
    """
    key = job.problem.key
    known = store.done(key) if store is not None else {}
    total = sum(len(u.layouts) for u in units)
    answers = {u.number: known[u.number] for u in units if u.number in known}
    done = sum(len(u.layouts) for u in units if u.number in known)
    told("layouts", done, total)
    left = [u for u in units if u.number not in answers]
    is_whole = True
    try:
        for unit, found in run(left, job):
            answers[unit.number] = found
            done += len(unit.layouts)
            if store is not None:
                store.put(key, unit.number, found)
            told("layouts", done, total)
    except KeyboardInterrupt:
        is_whole = False
    missing = [u for u in units if u.number not in answers]
    lost: tuple[str, ...] = ()
    if missing and is_whole:
        number = sum(len(u.layouts) for u in missing)
        lost = (f"{number:,} layouts of {len(missing)} units have no answer: their process ended "
                f"{TRIES} times; plan again to try them once more",)  # fmt: skip
    found = merged([answers[n] for n in sorted(answers)], job.problem)
    return Outcome(found, total, is_whole and not missing, lost)


def here(units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
    """In this process, one after the other."""
    for unit in units:
        yield unit, job(unit)


def in_processes(jobs: int) -> Runner:
    """In `jobs` local processes; one that dies loses nothing but its own work."""

    def run(units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
        tries: dict[int, int] = {}
        left = list(units)
        while left:
            left = yield from _round(left, job, jobs, tries)

    return run


_evaluator: list[Evaluator] = []


def _begin(job: Evaluator) -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the search's own process ends it
    _evaluator[:] = [job]


def _evaluate(unit: Unit) -> Found:
    return _evaluator[0](unit)


def _round(
    units: list[Unit], job: Evaluator, jobs: int, tries: dict[int, int]
) -> Generator[tuple[Unit, Found], None, list[Unit]]:
    """Answers until all are there or a process died; returns what is left to do."""
    context = multiprocessing.get_context("spawn")
    left = {u.number: u for u in units}
    pool = ProcessPoolExecutor(jobs, context, _begin, (job,))
    try:
        ahead = list(units)
        running: dict[Any, Unit] = {}
        while ahead or running:
            while ahead and len(running) < 2 * jobs:
                unit = ahead.pop(0)
                running[pool.submit(_evaluate, unit)] = unit
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                unit = running.pop(future)
                yield unit, future.result()
                del left[unit.number]
    except BrokenProcessPool:
        for unit in running.values():
            tries[unit.number] = tries.get(unit.number, 0) + 1
            if tries[unit.number] >= TRIES:
                left.pop(unit.number, None)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return list(left.values())


def runner_for(layouts: int, jobs: int) -> Runner:
    """The one that is fastest for so many layouts."""
    return here if jobs < 2 or layouts < FEW_LAYOUTS else in_processes(jobs)

