"""The processes of a run on many devices: started, listened to, stopped, none left behind."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from suiren.torch.distributed.folder import FOLDER, LINK
from suiren.torch.distributed.referee import RULE, Referee

if TYPE_CHECKING:
    from suiren.torch.distributed.launch import Launching

#: Seconds that ranks have to end by themselves once they are told to stop.
GRACE_S = 3.0
POLL_S = 0.05
#: Seconds between two looks at who waits for whom.
LOOK_S = 0.2
#: Seconds that a rank has to tell its line.
ANSWER_S = 0.5
ENDED = {
    "raised": "raised an error",
    "exited": "exited with a status of its own",
    "out of memory": "ran out of memory",
    "interrupted": "was interrupted",
}


@dataclass(frozen=True, slots=True)
class Said:
    """How a rank ended, where it could not say so itself."""

    exit_code: int
    ended: str
    error: str


@dataclass
class Rank:
    """One process, and what is known of it."""

    process: subprocess.Popen[bytes]
    link: socket.socket | None = None
    steps: int = 0
    ended: str | None = None
    error: str = ""
    where: str | None = None
    said: Said | None = None
    outputs: list[threading.Thread] = field(default_factory=list)


class Processes:
    """Starts ranks and watches them; leaving it ends all of them."""

    def __init__(self, folder: Path, num_ranks: int) -> None:
        self.folder, self.num_ranks = folder, num_ranks
        self.ranks: dict[int, Rank] = {}
        self._by_link: dict[socket.socket, int] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self.referee = Referee(folder, num_ranks)
        self._mismatched: set[int] = set()
        self._is_stopping = False

    def __enter__(self) -> Processes:
        self._listener.bind(str(self.folder / LINK))
        self._listener.listen(self.num_ranks)
        self._selector.register(self._listener, selectors.EVENT_READ)
        return self

    def __exit__(self, *_: object) -> None:
        for rank in self.ranks.values():
            _kill(rank.process)
        for rank in self.ranks.values():
            rank.process.wait()
            for thread in rank.outputs:
                thread.join(GRACE_S)
        self._selector.close()
        for link in (self._listener, *self._by_link):
            link.close()

    def start(self, number: int, environment: dict[str, str]) -> None:
        """Starts a rank in a process group of its own; rank 0 writes as we do."""
        pipe = None if number == 0 else subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "suiren.torch.distributed.rank"],
            env={**environment, FOLDER: str(self.folder)},
            stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, process_group=0,
        )  # fmt: skip
        rank = self.ranks[number] = Rank(process)
        for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            if source is not None:
                thread = threading.Thread(target=_pass_on, args=(source, target, number))
                thread.start()
                rank.outputs.append(thread)

    def said_of(self, number: int) -> Said | None:
        """How a rank ended, where it could not say so itself."""
        return self.ranks[number].said

    # ---- while they run

    def watch(self, launching: Launching) -> None:
        """Returns once every rank has ended, for whatever reason."""
        slowest, looked_s = 0, 0.0
        try:
            while not self._all_ended():
                self._hear(POLL_S)
                self._look_for_the_dead()
                self._look_for_failures()
                if time.monotonic() - looked_s > LOOK_S:
                    self._ask_the_referee(launching)
                    looked_s = time.monotonic()
                steps = min(rank.steps for rank in self.ranks.values())
                if steps > slowest:
                    slowest = steps
                    launching.on_step(steps)
        except KeyboardInterrupt:
            self.stop("the run was interrupted", "interrupted")
        self._say_all(bye=True)
        self._wait(GRACE_S)

    def stop(self, reason: str, ended: str) -> None:
        """Tells every rank to end as `ended`, and ends those that do not."""
        if self._is_stopping:
            return
        self._is_stopping = True
        self._say_all(stop=reason, ended=ended)
        until = time.monotonic() + GRACE_S
        while time.monotonic() < until and not self._all_ended():
            self._hear(POLL_S)
            self._look_for_the_dead()
        for rank in self.ranks.values():
            if rank.ended is None:
                rank.ended, rank.said = ended, Said(1, ended, reason)

    def _all_ended(self) -> bool:
        return all(rank.ended is not None for rank in self.ranks.values())

    def _ended(self) -> dict[int, str]:
        return {n: rank.ended for n, rank in self.ranks.items() if rank.ended is not None}

    def _look_for_the_dead(self) -> None:
        for number, rank in self.ranks.items():
            code = rank.process.poll()
            if code is None or rank.ended is not None:
                continue
            self._hear(0)
            if rank.ended is None:
                error = f"rank {number} {how_it_died(code)} in step {rank.steps + 1}"
                rank.ended = "killed" if code < 0 else "exited"
                rank.said = Said(code if code > 0 else 128 - code, rank.ended, error)
                self.stop(f"{error}; the other ranks were stopped", "interrupted")

    def _look_for_failures(self) -> None:
        """A rank that failed ends the run."""
        for number, rank in self.ranks.items():
            if rank.ended not in (None, "finished", "killed") and not self._is_stopping:
                said = f": {rank.error}" if rank.error else ""
                self.stop(
                    f"rank {number} {ENDED[rank.ended]} in step {rank.steps + 1}{said}; "
                    "the other ranks were stopped", "interrupted",
                )  # fmt: skip

    def _ask_the_referee(self, launching: Launching) -> None:
        ended = self._ended()
        stuck = sorted(self._mismatched) or self.referee.stuck(ended)
        why, limit_s = RULE, launching.timeout_s
        if not stuck and limit_s is not None:
            stuck = self.referee.too_late(ended, limit_s)
            why = f"no rank may wait longer than {limit_s:g} s (--timeout)"
        if not stuck:
            notice = self.referee.notice(ended, self.where)
            if notice is not None:
                launching.on_notice(notice)
            return
        places = self.referee.places()
        concerned = set(stuck).union(*(places[rank].members for rank in stuck))
        told = self.referee.tell(sorted(concerned), ended, self.where)
        self.stop(f"{told}: {why}", "raised")

    def where(self, number: int) -> str:
        """The script's line that a rank is at; `?` if it does not answer soon."""
        self.ranks[number].where = None
        self._say(number, where=True)
        until = time.monotonic() + ANSWER_S
        while self.ranks[number].where is None and time.monotonic() < until:
            self._hear(POLL_S)
        return self.ranks[number].where or "a line it did not tell"

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for rank in self.ranks.values():
            try:
                rank.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill(rank.process)

    # ---- messages

    def _hear(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            link = key.fileobj
            assert isinstance(link, socket.socket)
            if link is self._listener:
                new, _ = link.accept()
                self._selector.register(new, selectors.EVENT_READ, bytearray())
                self._by_link[new] = -1
                continue
            try:
                data = link.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                self._selector.unregister(link)
                continue
            key.data.extend(data)
            *lines, rest = bytes(key.data).split(b"\n")
            key.data[:] = rest
            for line in lines:
                self._take(link, json.loads(line))

    def _take(self, link: socket.socket, message: dict[str, Any]) -> None:
        if "hello" in message:
            self._by_link[link] = message["hello"]
            self.ranks[message["hello"]].link = link
            return
        rank = self.ranks[self._by_link[link]]
        rank.steps = message.get("step", rank.steps)
        rank.ended = message.get("ended", rank.ended)
        rank.error = message.get("error", rank.error)
        rank.where = message.get("where", rank.where)
        if "mismatch" in message:
            self._mismatched.update((self._by_link[link], *message["mismatch"]))

    def _say_all(self, **message: Any) -> None:
        for number in self.ranks:
            self._say(number, **message)

    def _say(self, number: int, **message: Any) -> None:
        link = self.ranks[number].link
        if link is not None:
            with contextlib.suppress(OSError):
                link.sendall((json.dumps(message) + "\n").encode())


def how_it_died(code: int) -> str:
    """An exit status in words."""
    if code >= 0:
        return f"ended with status {code}"
    name = signal.Signals(-code).name
    why = " (by hand, or because memory ran out)" if name == "SIGKILL" else ""
    return f"was killed by {name}{why}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a rank's whole process group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _pass_on(source: IO[bytes], target: Any, number: int) -> None:
    """Copies lines, each with its rank before it."""
    for line in source:
        target.write(f"[rank {number}] {line.decode(errors='replace')}")
        target.flush()
