"""The same search spread over a Ray cluster."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

from suiren.plan.problem import BadProblem
from suiren.plan.search import TRIES, Runner
from suiren.plan.unit import Evaluator, Found, Unit


def on_ray(address: str) -> Runner:
    """A runner on the cluster at an address; `local` starts one on this machine.

    A worker that dies costs its own unit, which runs again elsewhere. Raises BadProblem where Ray
    is missing or nothing answers.
    """
    try:
        import ray
    except ImportError:
        raise BadProblem(
            "--ray needs the ray package: `pip install ray`, or leave --ray out for local processes"
        ) from None

    def run(units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
        _join(ray, address)
        try:
            yield from _spread(ray, units, job)
        finally:
            ray.shutdown()

    return run


#: Seconds in which a cluster's address has to answer; Ray itself waits for minutes.
_PATIENCE_S = 5.0


def _join(ray: Any, address: str) -> None:
    is_local = address == "local"
    where = {"num_cpus": None} if is_local else {"address": address}
    try:
        host, colon, port = address.rpartition(":")
        if colon and "/" not in address:
            socket.create_connection((host, int(port)), _PATIENCE_S).close()
        ray.init(**where, log_to_driver=False, logging_level="ERROR",
                 include_dashboard=False if is_local else None)  # fmt: skip
    except (OSError, ValueError, RuntimeError) as problem:
        first = (str(problem).splitlines() or [""])[0]
        raise BadProblem(
            f"no Ray cluster answers at {address} ({first}); start one with `ray start --head`, or "
            "say --ray local"
        ) from None


def _spread(ray: Any, units: Sequence[Unit], job: Evaluator) -> Iterator[tuple[Unit, Found]]:
    shared = ray.put(job)
    evaluate = ray.remote(max_retries=TRIES, retry_exceptions=False)(_evaluate)
    running = {evaluate.remote(shared, unit): unit for unit in units}
    while running:
        ready, _ = ray.wait(list(running), num_returns=1)
        for reference in ready:
            unit = running.pop(reference)
            try:
                yield unit, ray.get(reference)
            except ray.exceptions.WorkerCrashedError:
                continue  # it has ended its worker TRIES times; the outcome tells of it


def _evaluate(job: Evaluator, unit: Unit) -> Found:
    return job(unit)
