"""A process that has loaded everything and forks one rank after another.

`python -m suiren.torch.distributed.warm ADDRESS`: takes a script there, then ranks to start.
"""

from __future__ import annotations

import ast
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

#: Packages that may be loaded before a script asks for them: they do not look at the rank.
LOADED_EARLY = ("torch", "transformers", "numpy")
USUAL = (
    "torch.distributed.fsdp", "torch.distributed.tensor.parallel", "torch.distributed.pipelining",
    "torch.distributed.tensor.experimental", "torch._dynamo",
)  # fmt: skip


def main() -> int:
    """Serves until the other end is gone, then ends every rank that still runs."""
    address = sys.argv[1]
    line = Client(address)
    load(line.recv())
    children: dict[int, int] = {}
    try:
        while True:
            order, rank, job = line.recv()
            if order == "start":
                children[rank] = _fork(rank, job, address, line)
            else:
                _, status = os.waitpid(children.pop(rank), 0)
                line.send(os.waitstatus_to_exitcode(status))
    except (EOFError, OSError):
        for pid in children.values():
            os.kill(pid, signal.SIGKILL)
    return 0


def load(script: Path | None) -> None:
    """Starts the device without its threads and imports what the script is about to."""
    from suiren.torch import device, transfer

    start_threads = device._start_autograd_threads
    device._start_autograd_threads = _nothing
    device.start()
    device._start_autograd_threads = start_threads
    transfer.install()
    for name in (*USUAL, *_imports(script)):
        try:
            module, _, part = name.partition(":")
            found = importlib.import_module(module)
            if part:
                getattr(found, part, None)
        except Exception:  # the script will say so itself, with its own traceback
            continue
    gc.collect()
    gc.freeze()


def _nothing() -> None:
    """Threads do not live through a fork."""


def _imports(script: Path | None) -> Iterator[str]:
    """`module` and `module:name` of the early packages that a script imports."""
    if script is None:
        return
    try:
        tree = ast.parse(script.read_text())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [f"{node.module}:{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0].split(":")[0] in LOADED_EARLY)


def _fork(rank: int, job: Any, address: str, line: Connection) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        line.close()
        status = _child(rank, job, address)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _child(rank: int, job: Any, address: str) -> int:
    from suiren.torch import device
    from suiren.torch.distributed.post import Wire
    from suiren.torch.distributed.rank_process import quiet, run_rank

    connection = Client(address)
    connection.send(("hello", rank))
    if rank:
        quiet()
    device._start_autograd_threads()
    try:
        connection.send(("done", run_rank(rank, job, Wire(connection))))
    except BaseException:
        connection.send(("failed", traceback.format_exc()))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
