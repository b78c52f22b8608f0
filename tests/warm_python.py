"""`python …` from a process that has already loaded PyTorch: what tests of whole runs start.

Loading PyTorch takes longer than most of what is tested behind it. One server a test process
loads it and forks; a fork is a Python that was just started, except that these modules are there.
What must be a process from the first instruction on (signals, what gets loaded, equal bytes of
two processes) starts one with `subprocess`.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path

#: Loaded before the fork: nothing that looks at devices when it is imported.
LOADED = (
    "torch", "torch._dynamo", "suiren.torch.runner", "suiren.report.answer", "rich.console",
    "suiren.cli", "suiren.commands.would_fit", "suiren.report.screen", "suiren.report.document",
    "suiren.history.store", "suiren.view.payload",
)  # fmt: skip
POLL_S = 0.01


@cache
def _server() -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"OMP_NUM_THREADS": "1", **os.environ},
    )
    atexit.register(started.kill)
    return started


def python(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """What `python ARGUMENTS` ends with and writes; `-W WHAT`, `-m MODULE` and files are known."""
    given = [str(a) for a in arguments]
    server = _server()
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        asked = {
            "arguments": given, "cwd": str(cwd or Path.cwd()), "out": str(out), "err": str(err),
            "env": dict(env or os.environ), "timeout_s": timeout_s,
        }  # fmt: skip
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the process that forks tests is gone"
        code = json.loads(answer)
        if code is None:
            raise subprocess.TimeoutExpired(given, timeout_s, out.read_text(), err.read_text())
        return subprocess.CompletedProcess(given, code, out.read_text(), err.read_text())


def alone_python(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """The same in a process that loads everything itself."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=cwd, env=env
    )


def serve() -> dict[str, object] | None:
    """Forks one process after another; returns in each of them what it was asked for."""
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        asked: dict[str, object] = json.loads(line)
        pid = os.fork()
        if not pid:
            return asked
        code = _waited(pid, time.monotonic() + float(str(asked["timeout_s"])))
        sys.stdout.write(json.dumps(code) + "\n")
        sys.stdout.flush()
    return None


def _waited(pid: int, until_s: float) -> int | None:
    """How the process ended, or None: it took too long and was killed."""
    while time.monotonic() < until_s:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL_S)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def status_of(asked: dict[str, object]) -> int:
    """The status with which Python would end; runs what it does at its end, without tidying up."""
    status = 0
    try:
        become(asked)
    except SystemExit as stopped:
        status = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
        if isinstance(stopped.code, str):
            sys.stderr.write(stopped.code + "\n")
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def become(asked: dict[str, object]) -> None:
    """Runs what was asked for in this process, as Python would from its command line."""
    os.setpgid(0, 0)
    os.chdir(str(asked["cwd"]))
    os.environ.clear()
    os.environ.update(asked["env"])
    for number, path in enumerate((os.devnull, asked["out"], asked["err"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(str(path), flags), number)
    sys.stdin = os.fdopen(0)  # the server's has read ahead
    arguments = list(asked["arguments"])
    while arguments[0] == "-W":
        warnings.simplefilter(arguments[1])
        arguments = arguments[2:]
    if arguments[0] == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = arguments[1:]
        sys.modules.pop(arguments[1], None)  # a process that was just started has it as main alone
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    work = serve()
    if work is not None:
        os._exit(status_of(work))
