"""The folder that a run on many devices shares: what to do, and what each rank leaves."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from suiren.hw.spec import Card
from suiren.torch.distributed.outcome import RankOutcome

if TYPE_CHECKING:
    from suiren.torch.how import How

#: Names the folder in the environment of every process of the run.
FOLDER = "SUIREN_RUN_FOLDER"
GIVEN_PORT = "SUIREN_MASTER_PORT"
"""Names the port of the launcher's store there, whatever the script makes of MASTER_PORT."""
LINK = "link"


@dataclass(frozen=True)
class Task:
    """What every rank does."""

    script: Path
    arguments: tuple[str, ...]
    card: Card
    how: How
    world_size: int


def _write(path: Path, thing: object) -> None:
    """All of it or nothing: a reader never sees half a file."""
    half = path.with_suffix(f".{os.getpid()}")
    half.write_bytes(pickle.dumps(thing, protocol=5))
    half.replace(path)


def write_task(folder: Path, task: Task) -> None:
    """Leaves the task for the ranks."""
    _write(folder / "task", task)


def read_task(folder: Path) -> Task:
    """The task, as the launcher left it."""
    task: Task = pickle.loads((folder / "task").read_bytes())
    return task


def write_outcome(folder: Path, outcome: RankOutcome) -> None:
    """Leaves what a rank learnt; a later call replaces it."""
    _write(folder / f"outcome{outcome.ranks[0]}", outcome)


def read_outcome(folder: Path, rank: int) -> RankOutcome | None:
    """What a rank left, None if nothing."""
    path = folder / f"outcome{rank}"
    if not path.exists():
        return None
    outcome: RankOutcome = pickle.loads(path.read_bytes())
    return outcome
