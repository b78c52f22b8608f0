"""What a search has found so far, in an SQLite file: a search that was stopped goes on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from platformdirs import user_cache_path

from suiren.plan.problem import BadProblem
from suiren.plan.unit import Found, found_from_json


class Store:
    """Answers of units by problem and number."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or user_cache_path("suiren") / "searches.sqlite"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._link = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            self._link.execute("PRAGMA journal_mode=WAL")
            self._link.execute(
                "CREATE TABLE IF NOT EXISTS units "
                "(problem TEXT, unit INTEGER, answer TEXT, PRIMARY KEY (problem, unit))"
            )
        except (sqlite3.Error, OSError) as problem:
            raise BadProblem(f"{self.path} cannot hold a search ({problem}); remove the file, or "
                             "name another one with --store") from None  # fmt: skip

    def done(self, problem: str) -> dict[int, Found]:
        """Answers of units that were finished before."""
        rows = self._link.execute("SELECT unit, answer FROM units WHERE problem = ?", (problem,))
        return {number: found_from_json(json.loads(text)) for number, text in rows}

    def put(self, problem: str, unit: int, found: Found) -> None:
        """Keeps an answer at once."""
        text = json.dumps(found.as_json())
        self._link.execute("INSERT OR REPLACE INTO units VALUES (?, ?, ?)", (problem, unit, text))

    def forget(self, problem: str) -> None:
        """Drops what was found for a problem."""
        self._link.execute("DELETE FROM units WHERE problem = ?", (problem,))

    def close(self) -> None:
        """Closes the file."""
        self._link.close()
