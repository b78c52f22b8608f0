"""The process that has loaded PyTorch once and forks ranks, as seen from outside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any, cast

from suiren.torch.distributed.job import Job

POLL_S = 0.5
#: Seconds that it has to end by itself.
GRACE_S = 5.0


class CannotFork(RuntimeError):  # noqa: N818 - reads as what it is
    """The process that forks ranks is gone."""


class Warm:
    """Starts the process, asks it for ranks, ends it and all of them.

    `script`, if given, is read for what can be imported once for all ranks.
    """

    def __init__(self, script: Path | None = None) -> None:
        self.script = script

    def __enter__(self) -> Warm:
        self._folder = tempfile.TemporaryDirectory(prefix="suiren-")
        address = str(Path(self._folder.name) / "line")
        self._listener = Listener(address, "AF_UNIX", backlog=64)
        cast(Any, self._listener)._listener._socket.settimeout(POLL_S)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "suiren.torch.distributed.warm", address],
            env={"OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR", **os.environ},
            process_group=0,
        )
        self._line = self._accept()
        self._line.send(self.script)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        try:
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.close()
        self._folder.cleanup()

    def _accept(self) -> Connection:
        """The next process that calls; raises CannotFork if there will be none."""
        while True:
            try:
                return self._listener.accept()
            except TimeoutError:
                if self._process.poll() is not None:
                    raise CannotFork(
                        "the process that runs the ranks ended with status "
                        f"{self._process.returncode} before any of them ran"
                    ) from None

    def start(self, rank: int, job: Job) -> Connection:
        """Forks a rank; returns the line to it."""
        self._line.send(("start", rank, job))
        connection = self._accept()
        connection.recv()
        return connection

    def reap(self, rank: int) -> int:
        """How a rank's process ended: its status, or minus the signal."""
        self._line.send(("reap", rank, None))
        status: int = self._line.recv()
        return status
