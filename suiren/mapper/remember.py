"""Tuned plans on disk: an SQLite file in the user's cache folder, shared by all processes.

A plan is remembered for a card, a shape and the state of the shared level. The card counts by
all its facts, and the code by the sources of the simulator and its kernels, so that nothing
outdated is ever found. A file that cannot be used is done without: remembering only saves time.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import sqlite3
from functools import lru_cache
from pathlib import Path

from platformdirs import user_cache_path

import suiren
from suiren.hw.spec import Card

#: Rooms and files whose change makes remembered plans worthless.
_SOURCES = ("dtype.py", "core/*.py", "kernels/*.py", *(
    f"mapper/{name}.py"
    for name in ("tune", "candidate", "estimate", "menu", "grids", "waves", "race", "product")
))  # fmt: skip
#: New plans are written together.
_TOGETHER = 256


@lru_cache(maxsize=1)
def code_version() -> str:
    """A short hash of the sources that a plan depends on."""
    home = Path(suiren.__file__).parent
    digest = hashlib.sha256()
    for pattern in _SOURCES:
        for file in sorted(home.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def card_version(card: Card) -> str:
    """A short hash of all facts of a card."""
    facts = [(name, float(fact)) for name, fact in card.facts()]
    text = json.dumps([card.chip.family, card.chip.tile_mnk, sorted(card.chip.lacks), facts])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Memory:
    """A table of texts by key in an SQLite file; without one it remembers nothing."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_cache_path("suiren") / "plans.sqlite"
        self._new: dict[str, str] = {}
        self._link: sqlite3.Connection | None = None
        self._tried = False

    def get(self, key: str) -> str | None:
        """The text remembered for the key."""
        if key in self._new:
            return self._new[key]
        link = self._connect()
        if link is None:
            return None
        try:
            row = link.execute("SELECT plan FROM plans WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])

    def put(self, key: str, text: str) -> None:
        """Remembers a text; written to the file with the next ones, or at the end."""
        if not self._new:
            atexit.unregister(self.write)
            atexit.register(self.write)
        self._new[key] = text
        if len(self._new) >= _TOGETHER:
            self.write()

    def write(self) -> None:
        """Writes what is new to the file."""
        link = self._connect()
        if link is not None and self._new:
            try:
                with link:
                    link.executemany(
                        "INSERT OR REPLACE INTO plans VALUES (?, ?)", self._new.items()
                    )
            except sqlite3.Error:
                return
        self._new.clear()

    def _connect(self) -> sqlite3.Connection | None:
        if self._tried:
            return self._link
        self._tried = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            link = sqlite3.connect(self.path, timeout=5.0, check_same_thread=False)
            link.execute("PRAGMA journal_mode = WAL")
            link.execute("PRAGMA synchronous = OFF")
            link.execute("CREATE TABLE IF NOT EXISTS plans (key TEXT PRIMARY KEY, plan TEXT)")
            self._link = link
        except (sqlite3.Error, OSError):
            self._link = None
        return self._link
