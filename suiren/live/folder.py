"""Where running processes say how their devices are: one small file a process.

A file is replaced as a whole, so that a reader sees one moment. It goes when its process ends;
what a killed process left is told by its pid and start, and cleaned up by whoever reads.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_runtime_path

from suiren.live.state import Device, as_json, from_json

#: Another folder than the user's runtime folder; empty: nothing is published.
VARIABLE = "SUIREN_LIVE"


def live_folder() -> Path | None:
    """`$SUIREN_LIVE` or the user's runtime folder; None if publishing is off."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return Path(given) if given else None
    with warnings.catch_warnings():
        # a machine without $XDG_RUNTIME_DIR has a folder of its own under /tmp
        warnings.simplefilter("ignore")
        return user_runtime_path("suiren") / "live"


class Publisher:
    """Writes the file of this process; a folder that cannot be written costs nothing but that."""

    def __init__(self, folder: Path) -> None:
        self.pid = os.getpid()
        self.path = folder / f"{self.pid}.json"
        self._new = folder / f"{self.pid}.new"
        self._mark = started(self.pid)
        self.works = True
        self._is_made = False

    def write(self, devices: Sequence[Device]) -> None:
        """Replaces the file."""
        if not self.works or os.getpid() != self.pid:
            return
        told = {"started": self._mark, "devices": [as_json(one) for one in devices]}
        try:
            if not self._is_made:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._is_made = True
            self._new.write_text(json.dumps(told), encoding="utf-8")
            self._new.replace(self.path)
        except OSError:
            self.works = False

    def remove(self) -> None:
        """Takes the file away; a fork of the process leaves it."""
        if os.getpid() == self.pid:
            for path in (self.path, self._new):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)


def devices(folder: Path | None = None) -> list[Device]:
    """All devices of living processes, the oldest process first; files of dead ones go."""
    folder = folder or live_folder()
    found: list[Device] = []
    if folder is None or not folder.is_dir():
        return found
    for path in folder.glob("*.json"):
        told = _read(path)
        if told is None:
            continue
        if not _lives(path, told):
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        found += [from_json(one) for one in told["devices"]]
    return sorted(found, key=lambda one: (one.started_s, one.rank, one.pid, one.index))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "devices" in told else None


def _lives(path: Path, told: dict[str, Any]) -> bool:
    """True if the file's process still runs: same pid, and the same start where that is told."""
    if not path.stem.isdigit():
        return False
    pid = int(path.stem)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        pass
    return told.get("started") in (None, started(pid))


def started(pid: int) -> int | None:
    """When a process started, in the kernel's ticks; None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the name in parentheses may hold spaces; the start is the 20th field after it
    after = text.rpartition(")")[2].split()
    return int(after[19]) if len(after) > 19 else None
