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

    @property
    def error(self) -> str:
        return next((o.error for o in self.outcomes if o.error), "no rank raised an error")


def launch(
    script: Path, *arguments: object, devices: int = 2, on: str = "toy", **options: object
) -> Ran:
    ran = Ran([])
    launching = Launching(on_step=ran.steps.append, on_notice=ran.notices.append, **options)
    given = [str(a) for a in arguments]
    ran.outcomes = run_devices(script, given, on, devices, How(seed=0), launching)
    return ran


class Everything(dict[str, str]):
    """A script that did not come to its end has failed every check."""

    def __init__(self, error: str) -> None:
        super().__init__()
        self.error = error

    def get(self, *_: object) -> str:
        return self.error


@cache
def answers(scripts: tuple[str, ...], devices: int) -> dict[str, dict[str, str]]:
    """By script of checks, what went wrong by name of the check; one launch for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        ran = launch(SCRIPTS / "together.py", folder, *scripts, devices=devices)
        files = {script: Path(folder) / f"{script}.json" for script in scripts}
        return {
            script: json.loads(file.read_text()) if file.exists() else Everything(ran.error)
            for script, file in files.items()
        }


def checks_of(script: str) -> list[str]:
    lines = (SCRIPTS / script).read_text().splitlines()
    prefix = "def check_"
    return [line[len(prefix) :].partition("(")[0] for line in lines if line.startswith(prefix)]
