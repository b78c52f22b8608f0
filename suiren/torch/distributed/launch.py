"""Runs a script on many devices in the manner of torchrun: one process a device.

Each rank is a fresh interpreter with its own card; `RANK`, `LOCAL_RANK`, `WORLD_SIZE` and the
rest stand in its environment. The launcher hosts the store where the ranks meet, passes their
output on, and reads what each rank recorded.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suiren.hw.load import resolve_card
from suiren.hw.spec import Card
from suiren.torch.distributed.folder import GIVEN_PORT, Task, read_outcome, write_task
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.distributed.processes import Processes
from suiren.trace.program import Program

if TYPE_CHECKING:
    from suiren.torch.how import How

CARDS_PER_NODE = 8
MOST_DEVICES = 64


class CannotLaunch(ValueError):  # noqa: N818 - said to a user
    """A run on many devices that cannot start: the sentence names what would work."""


@dataclass(frozen=True)
class Launching:
    """How to start and watch the ranks."""

    master_port: int | None = None
    """Port of the store where ranks meet; any free one if None."""
    timeout_s: float | None = None
    """How long a rank may wait for another one; None for no limit but the script's own."""
    on_step: Callable[[int], None] = lambda _: None
    """Called with the steps of the slowest rank whenever they grow."""
    on_notice: Callable[[str], None] = lambda _: None
    """Called with a sentence the user should read while the run goes on."""


def check_devices(num_devices: int) -> None:
    """Raises CannotLaunch for a number of devices that nodes of eight cards cannot give."""
    if not 1 <= num_devices <= MOST_DEVICES:
        raise CannotLaunch(
            f"--devices {num_devices} is not possible: give 1 to {MOST_DEVICES} "
            "(real processes share this machine; `--ranks` simulates thousands in one)"
        )
    if num_devices > CARDS_PER_NODE and num_devices % CARDS_PER_NODE:
        below = num_devices // CARDS_PER_NODE * CARDS_PER_NODE
        raise CannotLaunch(
            f"--devices {num_devices} is not possible: a node has {CARDS_PER_NODE} cards, and "
            f"more come in whole nodes: {below} or {below + CARDS_PER_NODE}"
        )


def run_devices(
    script: Path,
    arguments: Sequence[str],
    on: str | Card,
    num_devices: int,
    how: How,
    launching: Launching | None = None,
) -> list[RankOutcome]:
    """Runs the script as `num_devices` ranks; returns one outcome a rank, in order.

    A rank that left nothing (killed before its first steps) has an empty program. Raises
    CannotLaunch in one sentence.
    """
    launching = launching or Launching()
    check_devices(num_devices)
    if not script.is_file():
        raise CannotLaunch(f"there is no script {str(script)!r} in {Path.cwd()}")
    card = resolve_card(on) if isinstance(on, str) else on
    with tempfile.TemporaryDirectory(prefix="suiren-", dir=_in_memory()) as name:
        folder = Path(name)
        write_task(folder, Task(script, tuple(arguments), card, how, num_devices))
        with _store(launching.master_port) as port, Processes(folder, num_devices) as ranks:
            for rank in range(num_devices):
                ranks.start(rank, _environment(rank, num_devices, port))
            ranks.watch(launching)
        return [_outcome(folder, rank, ranks) for rank in range(num_devices)]


def _in_memory() -> str | None:
    """A folder in memory: ranks write to the board at every collective."""
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


def _outcome(folder: Path, rank: int, ranks: Processes) -> RankOutcome:
    left, said = read_outcome(folder, rank), ranks.said_of(rank)
    program = left.program if left is not None else Program(facts={"rank": rank})
    if said is not None:
        return RankOutcome((rank,), program, said.exit_code, said.ended, said.error)
    assert left is not None
    return left


@contextlib.contextmanager
def _store(port: int | None) -> Iterator[int]:
    """Hosts the ranks' store; yields its port."""
    from torch.distributed import TCPStore

    try:
        store = TCPStore("127.0.0.1", port or 0, is_master=True, wait_for_workers=False)
    except RuntimeError as problem:
        raise CannotLaunch(
            f"port {port} of this machine is in use; give another --master-port, or none for "
            "a free one"
        ) from problem
    yield store.port


def _environment(rank: int, num_devices: int, port: int) -> dict[str, str]:
    """What torchrun puts into a rank's environment, and threads that share this machine."""
    local = min(num_devices, CARDS_PER_NODE)
    node = rank // CARDS_PER_NODE
    cores = len(os.sched_getaffinity(0))
    given = {
        "RANK": rank, "LOCAL_RANK": rank % CARDS_PER_NODE, "WORLD_SIZE": num_devices,
        "LOCAL_WORLD_SIZE": local, "GROUP_RANK": node, "GROUP_WORLD_SIZE": num_devices // local,
        "ROLE_RANK": rank, "ROLE_WORLD_SIZE": num_devices, "ROLE_NAME": "default",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_USE_AGENT_STORE": True,
        GIVEN_PORT: port,
        "TORCHELASTIC_RUN_ID": "suiren", "TORCHELASTIC_RESTART_COUNT": 0,
        "TORCHELASTIC_MAX_RESTARTS": 0,
    }  # fmt: skip
    kept = {
        "OMP_NUM_THREADS": str(max(1, cores // num_devices)),
        "TOPS_VISIBLE_DEVICES": ",".join(map(str, range(local))),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    return {**kept, **os.environ, **{name: str(value) for name, value in given.items()}}
