"""Scripts that start their own ranks with `torch.multiprocessing.spawn`.

Under `--devices N` each of the N processes runs the script and, where it would start N ranks,
is one of them: nothing is started twice, and every rank is watched like any other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch.multiprocessing
import torch.multiprocessing.spawn as _spawn
from torch.distributed import distributed_c10d as c10d

from suiren.torch.distributed.folder import GIVEN_PORT


class _Joined:
    """What `spawn(join=False)` returns: its ranks have ended."""

    processes: Sequence[Any] = ()

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """True: the rank has run."""
        return True

    def pids(self) -> list[int]:
        """The process that was the rank."""
        return [os.getpid()]


def install() -> None:
    """Makes `spawn` run this process's rank in this process."""
    torch.multiprocessing.spawn = _spawn.spawn = spawn
    torch.multiprocessing.start_processes = _spawn.start_processes = spawn
    c10d.rendezvous = _meeting_where_told(c10d.rendezvous)


def spawn(
    fn: Callable[..., Any], args: tuple[Any, ...] = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn", **_: Any,
) -> _Joined | None:  # fmt: skip
    """Runs `fn(rank, *args)`; raises RuntimeError for a number of ranks that was not started."""
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if nprocs != started:
        raise RuntimeError(
            f"the script starts {nprocs} ranks, and {started} "
            f"device{'s were' if started > 1 else ' was'} asked for; run it with "
            f"--devices {nprocs}"
        )
    fn(int(os.environ.get("RANK", "0")), *args)
    return None if join else _Joined()


def _meeting_where_told(rendezvous: Callable[..., Any]) -> Callable[..., Any]:
    """A script that names a port of its own hosts the store there, in its rank 0."""

    def meet(url: str, rank: int = -1, world_size: int = -1, **keywords: Any) -> Any:
        given = os.environ.get(GIVEN_PORT)
        port = url.rpartition(":")[2] if "tcp:" in url else os.environ.get("MASTER_PORT")
        if given is not None and port != given:
            os.environ.pop("TORCHELASTIC_USE_AGENT_STORE", None)
        return rendezvous(url, rank, world_size, **keywords)

    return meet
