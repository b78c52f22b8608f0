"""The history: an SQLite file in the user's data folder that all processes share.

A record is a document (what `--json` would write) with a few columns to list it by, and named
parts beside it, such as the saved trace of a run. Documents are compressed, parts are kept as
given. Every call opens the file for itself, so that processes, threads and forks never share a
connection.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from suiren.history.digest import digest, to_text
from suiren.history.names import (
    HistoryUnusable,
    UnknownRecord,
    check_tag,
    number_of,
    steps_back,
    unknown,
)

#: Where the history lies instead of the user's data folder; empty: nowhere.
VARIABLE = "SUIREN_HISTORY"
VERSION = 1
#: Seconds that a process waits for others that write.
PATIENCE_S = 20.0

_TABLES = f"""
CREATE TABLE records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, title TEXT NOT NULL,
    made_at TEXT NOT NULL, card TEXT NOT NULL, step_s REAL, memory_bytes INTEGER,
    facts TEXT NOT NULL, document BLOB NOT NULL);
CREATE INDEX records_by_kind ON records (kind, number);
CREATE TABLE parts (
    number INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (number, name));
CREATE TABLE tags (name TEXT PRIMARY KEY, number INTEGER NOT NULL);
PRAGMA user_version = {VERSION};
"""
_COLUMNS = "number, kind, title, made_at, card, step_s, memory_bytes, facts"


@dataclass(frozen=True)
class Record:
    """One answer of the past."""

    id: str
    kind: str
    title: str
    made_at: str
    """UTC, ISO 8601."""
    card: str
    step_s: float | None
    memory_bytes: int | None
    facts: dict[str, Any] = field(default_factory=dict)
    """How it was asked: command, versions, script and its hash; `tags` where it has any."""


def history_path() -> Path | None:
    """Where the history lies: `$SUIREN_HISTORY` or the user's data folder; None if it is off."""
    given = os.environ.get(VARIABLE)
    if given is None:
        return user_data_path("suiren") / "history.sqlite"
    return Path(given) if given else None


class History:
    """The records of a store; without a file it is empty, and the first `add` makes it."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises HistoryUnusable where no path is given and the history is switched off."""
        found = path or history_path()
        if found is None:
            raise HistoryUnusable(
                f"the history is switched off: ${VARIABLE} is empty; unset it, or give it a file"
            )
        self.path = found

    def add(
        self,
        kind: str,
        title: str,
        document: Mapping[str, Any],
        parts: Mapping[str, bytes] = {},
        facts: Mapping[str, Any] = {},
    ) -> str:
        """Keeps an answer and returns its id; raises HistoryUnusable if it cannot be written."""
        card, step_s, memory_bytes = digest(kind, document)
        row = (
            kind, title, datetime.now(UTC).isoformat(timespec="seconds"), card, step_s,
            memory_bytes, to_text(facts), zlib.compress(to_text(document).encode(), 6),
        )  # fmt: skip
        with self._link(writes=True) as link:
            number = link.execute(
                "INSERT INTO records (kind, title, made_at, card, step_s, memory_bytes, facts, "
                "document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row,
            ).lastrowid  # fmt: skip
            link.executemany(
                "INSERT INTO parts VALUES (?, ?, ?)", [(number, n, d) for n, d in parts.items()]
            )
        return f"r{number}"

    def records(self, kind: str = "", limit: int = 50) -> list[Record]:
        """The newest records first, of one kind if it is given."""
        where, values = ("WHERE kind = ?", [kind]) if kind else ("", [])
        return self._rows(f"{where} ORDER BY number DESC LIMIT ?", *values, limit)

    def find(self, name: str) -> Record:
        """The record of an id, a tag, `last`, `last~1` or a title; raises UnknownRecord."""
        back = steps_back(name)
        if back is not None:
            rows = self._rows("ORDER BY number DESC LIMIT 1 OFFSET ?", back)
        elif (number := number_of(name)) is not None:
            rows = self._rows("WHERE number = ?", number)
        else:
            rows = self._rows("WHERE number = (SELECT number FROM tags WHERE name = ?)", name)
            rows = rows or self._rows("WHERE title = ? ORDER BY number DESC LIMIT 1", name)
        if rows:
            return rows[0]
        raise self._unknown(name)

    def document(self, record: Record) -> dict[str, Any]:
        """What the record holds; raises UnknownRecord if it was removed meanwhile."""
        with self._link() as link:
            row = link.execute(
                "SELECT document FROM records WHERE number = ?", (number_of(record.id),)
            ).fetchone()
        if row is None:
            raise UnknownRecord(f"the record {record.id} was removed")
        return dict(json.loads(self._unpacked(row[0], record)))

    def part(self, record: Record, name: str) -> bytes | None:
        """The bytes kept beside the document under a name, None where there are none."""
        with self._link() as link:
            row = link.execute(
                "SELECT data FROM parts WHERE number = ? AND name = ?",
                (number_of(record.id), name),
            ).fetchone()
        return None if row is None else bytes(row[0])

    def remove(self, record: Record) -> None:
        """Forgets a record, its parts and its tags."""
        with self._link(writes=True) as link:
            for table in ("parts", "tags", "records"):
                link.execute(f"DELETE FROM {table} WHERE number = ?", (number_of(record.id),))

    def tag(self, record: Record, name: str) -> None:
        """Names a record; the name moves if another had it. Raises HistoryError for a bad one."""
        check_tag(name)
        with self._link(writes=True) as link:
            link.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (name, number_of(record.id)))

    # ---- the file

    def _rows(self, tail: str, *values: Any) -> list[Record]:
        with self._link() as link:
            rows = link.execute(f"SELECT {_COLUMNS} FROM records {tail}", values).fetchall()
            tags: dict[int, list[str]] = {}
            for name, number in link.execute("SELECT name, number FROM tags ORDER BY name"):
                tags.setdefault(number, []).append(name)
        found = []
        for number, kind, title, made_at, card, step_s, memory_bytes, text in rows:
            facts = json.loads(text)
            if number in tags:
                facts["tags"] = tags[number]
            found.append(
                Record(f"r{number}", kind, title, made_at, card, step_s, memory_bytes, facts)
            )
        return found

    def _unknown(self, name: str) -> UnknownRecord:
        with self._link() as link:
            known = [n for (n,) in link.execute("SELECT name FROM tags")]
            known += [n for (n,) in link.execute("SELECT DISTINCT title FROM records")]
            known += [
                f"r{n}"
                for (n,) in link.execute("SELECT number FROM records ORDER BY number DESC LIMIT 50")
            ]
            count = link.execute("SELECT count(*) FROM records").fetchone()[0]
        return unknown(name, known, count)

    def _unpacked(self, data: bytes, record: Record) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as problem:
            raise self._unusable(f"{record.id} is damaged: {problem}") from None

    @contextmanager
    def _link(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection in one transaction; an empty store in memory where there is no file."""
        try:
            if writes:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            link = sqlite3.connect(self.path if writes or self.path.exists() else ":memory:",
                                   timeout=PATIENCE_S, isolation_level=None)  # fmt: skip
        except (sqlite3.Error, OSError) as problem:
            raise self._unusable(str(problem)) from None
        try:
            self._prepare(link)
            link.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield link
            link.execute("COMMIT")
        except sqlite3.Error as problem:
            raise self._unusable(str(problem)) from None
        finally:
            link.close()

    def _prepare(self, link: sqlite3.Connection) -> None:
        version = link.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise HistoryUnusable(
                f"the history at {self.path} was written by a newer Suiren (form {version}, this "
                f"one reads form {VERSION}): update Suiren, or set ${VARIABLE} to another file"
            )
        if version == VERSION:
            return
        link.execute("PRAGMA journal_mode = WAL")
        link.execute("BEGIN IMMEDIATE")
        # another process may have made the tables while this one waited
        if link.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _TABLES.strip().split(";\n"):
                link.execute(statement)
        link.execute("COMMIT")

    def _unusable(self, problem: str) -> HistoryUnusable:
        return HistoryUnusable(
            f"the history at {self.path} cannot be used ({problem}): move the file away to begin "
            f"a new one, or set ${VARIABLE} to another file"
        )
