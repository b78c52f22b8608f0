"""Runs trials in processes of their own: a crash of one is one row, not the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from zoo.step import Row


def rows_of(
    names: Sequence[str], work: Callable[[str], Row], *, jobs: int, timeout_s: float
) -> Iterator[Row]:
    """A row for each name, as they come; at most `jobs` at once, each for at most `timeout_s`."""
    fork = multiprocessing.get_context("fork")
    waiting, running = list(reversed(names)), {}
    while waiting or running:
        while waiting and len(running) < jobs:
            name = waiting.pop()
            ours, theirs = fork.Pipe(duplex=False)
            process = fork.Process(target=_child, args=(name, work, theirs))
            process.start()
            theirs.close()
            running[name] = (process, ours, time.monotonic() + timeout_s)
        for name, (process, ours, end) in list(running.items()):
            row = _row_if_done(name, process, ours, end)
            if row is not None:
                del running[name]
                yield row
        time.sleep(0.02)


def _row_if_done(name: str, process: Any, ours: Connection, end: float) -> Row | None:
    if ours.poll():
        try:
            row: Row = ours.recv()
        except EOFError:
            process.join()
            code = process.exitcode
            what = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Row(name, outcome="fails", reason=f"the process ended with {what}")
        process.join()
        return row
    if time.monotonic() > end:
        process.kill()
        process.join()
        return Row(name, outcome="not tried", reason="took too long")
    return None


def _child(name: str, work: Callable[[str], Row], pipe: Connection) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if not os.environ.get("ZOO_LOUD"):
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    pipe.send(work(name))
    pipe.close()
    sys.stdout.flush()
    os._exit(0)
