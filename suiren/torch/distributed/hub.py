"""Runs ranks beside each other, a few at a time, and carries what they say to each other.

A rank that waits for a message gives its place to another. A message from a rank that does not
run yet starts that rank. A rank that is only looked at (is it like that one?) is told what the
one it is compared with was told, so that no further ranks need to run.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import cast

from suiren.torch.distributed.job import Job, Ran
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.post import Want
from suiren.torch.distributed.warming import Warm
from suiren.trace.program import Program


class RankFailed(RuntimeError):  # noqa: N818 - reads as what it is
    """A rank's process went wrong outside the script: an error of ours."""


@dataclass
class Running:
    """A rank that runs, or waits."""

    rank: int
    like: int | None
    """The rank whose messages it is told again; None for a rank with messages of its own."""
    waits_for: Want | None = None
    seen: dict[Hashable, int] = field(default_factory=dict)
    """Messages taken so far, by kin channel."""


class Hub:
    """The ranks of one world that run on this machine."""

    def __init__(
        self, warm: Warm, job: Job, on_ran: Callable[[Ran], None] | None = None, at_once: int = 0
    ) -> None:
        self.warm, self.job = warm, job
        self.at_once = at_once or max(1, min(4, len(os.sched_getaffinity(0))))
        self.on_ran = on_ran or (lambda _: None)
        self.ran: dict[int, Ran] = {}
        self._queue: deque[tuple[int, int | None]] = deque()
        self._running: dict[Connection, Running] = {}
        self._open: dict[Hashable, deque[bytes | None]] = {}
        self._kept: dict[Hashable, bytes | None] = {}
        self._told: dict[int, dict[Hashable, list[bytes | None]]] = {}

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._running:
            connection.close()

    def run(self, ranks: Iterable[int], like: int | None = None) -> list[Ran]:
        """Runs the ranks that have not run, and all that they wait for; returns theirs."""
        ranks = list(ranks)
        for rank in ranks:
            self._enqueue(rank, like)
        while self._queue or self._running:
            while self._queue and self._num_busy() < self.at_once:
                self._start(*self._queue.popleft())
            for connection in wait(list(self._running)):
                self._hear(cast("Connection", connection))
            if self._running and not self._num_busy() and not self._queue:
                self._refuse_all()
        return [self.ran[rank] for rank in ranks]

    # ---- ranks

    def _num_busy(self) -> int:
        return sum(running.waits_for is None for running in self._running.values())

    def _is_known(self, rank: int) -> bool:
        return (
            rank in self.ran
            or any(running.rank == rank for running in self._running.values())
            or any(queued == rank for queued, _ in self._queue)
        )

    def _enqueue(self, rank: int, like: int | None) -> None:
        if not self._is_known(rank):
            self._queue.append((rank, like))

    def _start(self, rank: int, like: int | None) -> None:
        connection = self.warm.start(rank, self.job)
        self._told[rank] = {}
        self._running[connection] = Running(rank, like)

    def _hear(self, connection: Connection) -> None:
        running = self._running[connection]
        try:
            message = connection.recv()
        except (EOFError, OSError):
            self._died(connection, running)
            return
        if message[0] == "post":
            self._post(running, *message[1:])
        elif message[0] == "take":
            running.waits_for = message[1]
            self._answer_all()
        elif message[0] == "done":
            self._done(connection, message[1])
        elif message[0] == "failed":
            raise RankFailed(f"rank {running.rank} could not be run:\n{message[1]}")

    def _done(self, connection: Connection, ran: Ran) -> None:
        del self._running[connection]
        connection.close()
        self.warm.reap(ran.rank)
        self.ran[ran.rank] = ran
        self.on_ran(ran)
        self._answer_all()

    def _died(self, connection: Connection, running: Running) -> None:
        del self._running[connection]
        status = self.warm.reap(running.rank)
        outcome = RankOutcome(
            (running.rank,), Program(facts={"rank": running.rank}), 1, "killed",
            f"the process that ran rank {running.rank} was killed "
            f"({_status(status)}); this machine may have run out of memory",
        )  # fmt: skip
        self.ran[running.rank] = Ran(outcome, "", (), (), ())
        self._answer_all()

    # ---- messages

    def _post(
        self, running: Running, channel: Hashable, kin: Hashable, payload: bytes | None
    ) -> None:
        self._told[running.rank].setdefault(("sent", kin), []).append(payload)
        self._open.setdefault(channel, deque()).append(payload)
        self._kept[channel] = payload
        self._answer_all()

    def _answer_all(self) -> None:
        """Hands out what has come; what can never come is refused."""
        for connection, running in list(self._running.items()):
            want = running.waits_for
            if want is None:
                continue
            found = self._find(running, want)
            if found is not None:
                self._tell(connection, running, want, found[0])

    def _tell(
        self, connection: Connection, running: Running, want: Want, payload: bytes | None
    ) -> None:
        running.waits_for = None
        running.seen[want.kin] = running.seen.get(want.kin, 0) + 1
        self._told[running.rank].setdefault(want.kin, []).append(payload)
        connection.send(("value", payload))

    def _find(self, running: Running, want: Want) -> tuple[bytes | None] | None:
        """The message a rank waits for, None if it is still to come."""
        if running.like is not None:
            return self._as_told(running, want, running.like)
        if want.is_kept and want.channel in self._kept:
            return (self._kept[want.channel],)
        if not want.is_kept and self._open.get(want.channel):
            return (self._open[want.channel].popleft(),)
        if want.source >= 0 and want.source not in self.ran:
            self._enqueue(want.source, None)
            return None
        if want.source in self.ran:
            if want.channel in self._kept:
                return (self._kept[want.channel],)
            return (None,) if want.is_kept else None
        return None

    def _as_told(self, running: Running, want: Want, like: int) -> tuple[bytes | None] | None:
        """What the rank it is compared with heard, or said, at this place; else nothing."""
        told = self._told.get(like, {})
        for kin in (want.kin, ("sent", want.kin)):
            heard = told.get(kin)
            if heard:
                return (heard[min(running.seen.get(want.kin, 0), len(heard) - 1)],)
        return (None,)

    def _refuse_all(self) -> None:
        """Everybody waits for everybody: what was waited for will not come."""
        for connection, running in list(self._running.items()):
            want = running.waits_for
            if want is not None:
                running.waits_for = None
                connection.send(("refused", self._sentence(running, want)))

    def _sentence(self, running: Running, want: Want) -> str:
        if want.source < 0:
            return (
                f"rank {running.rank} waits in {want.op} for what no rank that was run has set; "
                "run the script on real processes with --devices instead of --ranks"
            )
        source = self.ran.get(want.source)
        why = "waits itself" if source is None else _how(source.outcome)
        return (
            f"rank {running.rank} waits in {want.op} for a message of rank {want.source}, "
            f"which {why} without having sent it"
        )


def _how(outcome: RankOutcome) -> str:
    last = outcome.error.strip().splitlines()
    return f"{outcome.ended} ({last[-1]})" if last else outcome.ended


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"
