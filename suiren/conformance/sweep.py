"""All subjects over several processes; a crash or a hang costs one subject, not the sweep."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from suiren.conformance.verdict import FAILED, Times, Verdict

#: A subject may take this long before it counts as hanging.
PATIENCE_S = 300.0


@dataclass
class Found:
    """Everything a sweep learnt."""

    verdicts: list[Verdict] = field(default_factory=list)
    times: dict[str, Times] = field(default_factory=dict)
    interrupted: bool = False


class UnknownSubjectError(ValueError):
    """A name that no database holds."""


class NoDatabaseError(RuntimeError):
    """PyTorch's test databases cannot be loaded here."""


def chosen(names: list[str], wanted: tuple[str, ...], shard: tuple[int, int]) -> list[str]:
    """The subjects of a shard (1-based, of how many) that match the wanted names or patterns.

    Raises UnknownSubjectError for a wanted name that matches nothing.
    """
    if wanted:
        for want in wanted:
            if not any(_matches(name, want) for name in names):
                raise UnknownSubjectError(want)
        names = [name for name in names if any(_matches(name, want) for want in wanted)]
    return names[shard[0] - 1 :: shard[1]]


def _matches(name: str, want: str) -> bool:
    """`norm` is the op and its variants; `nn.*` is a pattern."""
    return name == want or name.startswith(want + ".") or fnmatch(name, want)


class _Worker:
    """One judging process and the subject it has in hand."""

    def __init__(self, card: str, dtypes: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "suiren.conformance.work", card, dtypes],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.out = self.process.stdout
        os.set_blocking(self.out.fileno(), False)
        self.rest = b""
        self.subject: str | None = None
        self.since = time.monotonic()

    def give(self, subject: str) -> None:
        assert self.process.stdin is not None
        self.subject, self.since = subject, time.monotonic()
        self.process.stdin.write(subject.encode() + b"\n")
        self.process.stdin.flush()

    def rows(self) -> Iterator[dict[str, Any]]:
        """What it said since; nothing once it is dead."""
        data = self.out.read() or b""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)

    def end(self) -> str:
        """Ends it; what it said last on its error stream."""
        self.process.kill()
        _, error = self.process.communicate()
        return (error.decode(errors="replace").strip().splitlines() or [""])[-1]


class Sweep:
    """Hands subjects to workers and collects what they say."""

    def __init__(self, card: str, dtypes: tuple[str, ...], jobs: int) -> None:
        self.card, self.dtypes, self.jobs = card, ",".join(dtypes), jobs
        self.found = Found()
        self.queue: list[str] = []

    def run(
        self,
        wanted: tuple[str, ...],
        shard: tuple[int, int],
        on_start: Callable[[int], None],
        on_subject: Callable[[str], None],
    ) -> Found:
        """Judges all; raises UnknownSubjectError or NoDatabaseError before anything ran."""
        first = self._start()
        names = self._subjects(first)
        try:
            self.queue = chosen(names, wanted, shard)[::-1]
            on_start(len(self.queue))
            workers = [first]
            self._feed(first)
            while len(workers) < min(self.jobs, len(self.queue) + 1):
                workers.append(self._start())
            self._collect(workers, on_subject)
        except KeyboardInterrupt:
            self.found.interrupted = True
        finally:
            first.end()
        return self.found

    def _start(self) -> _Worker:
        return _Worker(self.card, self.dtypes)

    def _subjects(self, worker: _Worker) -> list[str]:
        while worker.process.poll() is None:
            for row in worker.rows():
                names: list[str] = row["subjects"]
                return names
            time.sleep(0.02)
        raise NoDatabaseError(worker.end())

    def _feed(self, worker: _Worker) -> bool:
        if not self.queue:
            worker.subject = None
            return False
        worker.give(self.queue.pop())
        return True

    def _collect(self, workers: list[_Worker], on_subject: Callable[[str], None]) -> None:
        try:
            while workers:
                self._wait(workers)
                for worker in list(workers):
                    if not self._listen(worker, on_subject):
                        workers.remove(worker)
                        workers.extend(self._after(worker, on_subject))
        finally:
            for worker in workers:
                worker.end()

    def _wait(self, workers: list[_Worker]) -> None:
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.out, selectors.EVENT_READ)
            selector.select(timeout=1.0)

    def _listen(self, worker: _Worker, on_subject: Callable[[str], None]) -> bool:
        """Takes what a worker said; False once it has nothing left to do or is dead."""
        dead = worker.process.poll() is not None
        for row in worker.rows():
            kind = row.pop("kind")
            if kind == "verdict":
                self.found.verdicts.append(Verdict(**row))
                continue
            if kind == "times":
                self._keep_times(row)
                on_subject(row["op"])
            if not self._feed(worker):
                return False
        return not dead and time.monotonic() - worker.since < PATIENCE_S

    def _keep_times(self, row: dict[str, Any]) -> None:
        name = row["op"]
        times = Times(row["calls"], tuple(row["approximated"]), tuple(row["failed"]))
        self.found.times[name] = times
        for number, failed in enumerate(times.failed):
            self.found.verdicts.append(Verdict(name, "time", number, FAILED, "time", failed))

    def _after(self, worker: _Worker, on_subject: Callable[[str], None]) -> list[_Worker]:
        """Ends a worker that is done, dead or hanging; another one takes the rest."""
        subject = worker.subject
        hangs = worker.process.poll() is None
        last = worker.end()
        if subject is None:
            return []
        code = worker.process.returncode
        how = f"took more than {PATIENCE_S:.0f} s" if hangs else f"ended its process ({code})"
        self.found.verdicts.append(Verdict(subject, "", -1, FAILED, "forward", f"{how} {last}"))
        on_subject(subject)
        return [self._start()] if self.queue else []
