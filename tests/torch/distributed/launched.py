"""Runs of scripts on many devices, kept for all tests of a process."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from suiren.torch.distributed.launch import Launching, run_devices
from suiren.torch.distributed.outcome import RankOutcome
from suiren.torch.runner import How

HERE = Path(__file__).parent
SCRIPTS = HERE / "scripts"


@dataclass
class Ran:
    outcomes: list[RankOutcome]
    steps: list[int] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def ended(self) -> list[str]:
        return [o.ended for o in self.outcomes]


def launch(script: Path, *arguments: object, devices: int = 2, **options: object) -> Ran:
    ran = Ran([])
    launching = Launching(on_step=ran.steps.append, on_notice=ran.notices.append, **options)
    given = [str(a) for a in arguments]
    ran.outcomes = run_devices(script, given, "toy", devices, How(seed=0), launching)
    return ran


class Everything(dict[str, str]):
    """A script that did not come to its end has failed every check."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = error

    def get(self, *_: object) -> str:
        return self.error


@cache
def answers(script: str, devices: int) -> dict[str, str]:
    """What went wrong in a script of checks, by name of the check; empty if nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "answers.json"
        ran = launch(SCRIPTS / script, found, devices=devices)
        if not found.exists():
            return Everything(ran.outcomes[0].error)
        return json.loads(found.read_text())


def checks_of(script: str) -> list[str]:
    lines = (SCRIPTS / script).read_text().splitlines()
    prefix = "def check_"
    return [line[len(prefix) :].partition("(")[0] for line in lines if line.startswith(prefix)]
