"""The first second of the command: Ctrl-C while modules load ends it without a word."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

#: The exit status of a program that Ctrl-C ended.
INTERRUPTED = 130


def begin() -> None:
    """From now on Ctrl-C ends the process at once, if it is the command and nothing else."""
    name = os.path.basename(sys.argv[0]).removesuffix(".exe") if sys.argv else ""  # noqa: PTH119
    if name in ("suiren", "cli.py") and signal.getsignal(signal.SIGINT) is _usual():
        signal.signal(signal.SIGINT, _leave)


def end() -> None:
    """Everything is loaded: Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, _usual())


def is_interrupt(problem: BaseException) -> bool:
    """True for an error behind which Ctrl-C is: extensions that load tell it as their own."""
    seen: BaseException | None = problem
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _usual() -> Callable[[int, FrameType | None], None]:
    return signal.default_int_handler


def _leave(*_: object) -> None:
    os._exit(INTERRUPTED)
