"""A rank's line to the launcher: says what happens, hears when to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[], Any]


class Link:
    """One line of JSON a message, both ways, over a Unix socket.

    A thread waits for what the launcher says; a launcher that dies ends this process.
    """

    def __init__(self, path: Path) -> None:
        self.stop_reason: str | None = None
        self.stop_as = "interrupted"
        """How this rank ends if it is told to stop."""
        self.on_stop: Callable[[str], None] = lambda _: None
        self.on_question: Answer = lambda: None
        self._may_go = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True, name="suiren-link").start()

    def say(self, **message: Any) -> None:
        """Sends a message; a launcher that is gone is no error here."""
        with contextlib.suppress(OSError), self._lock:
            self._socket.sendall((json.dumps(message) + "\n").encode())

    def wait_to_go(self) -> None:
        """Waits until no rank needs this process any more."""
        self._may_go.wait()

    def _listen(self) -> None:
        for line in self._lines:
            message = json.loads(line)
            if "stop" in message:
                self.stop_as = message["ended"]
                self.stop_reason = message["stop"]
                self._may_go.set()
                self.on_stop(message["stop"])
            elif "where" in message:
                self.say(where=self.on_question())
            else:
                self._may_go.set()
        if not self._may_go.is_set():
            sys.stderr.flush()
            os.killpg(0, signal.SIGKILL)
