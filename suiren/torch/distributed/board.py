"""Memory that all ranks and the launcher share: who waits where, and who came to which meeting.

A meeting is one collective of one group, or one message between two ranks. Every rank posts
what it brings before it meets, so the later one sees a mismatch before anything is moved; the
launcher reads who waits for whom. Posting takes microseconds and no message.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PAGE_BYTES = 2048
_HEAD = struct.Struct("=QdII")
"""Count of changes (odd while one is made), time of the last one, bytes of text, waits or not."""
RING = 64
"""Meetings of a channel that are kept; ranks are apart by fewer, since they wait."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rank is, as it last said."""

    changes: int
    since_s: float
    """Monotonic seconds."""
    waits: bool
    what: str
    """The meeting in words: `all_reduce f32[4]`."""
    at: str
    """The script's line: `train.py:31`."""
    channel: str
    turn: int
    members: tuple[int, ...]
    any_of_them: bool
    """One of the members is enough, as for a `recv` from anyone."""


NOWHERE = Place(0, 0.0, False, "", "", "", -1, (), False)


def _shared(path: Path, size_bytes: int) -> mmap.mmap:
    """A file in memory that every process of the run maps; zeros at first."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(handle).st_size < size_bytes:
            os.ftruncate(handle, size_bytes)
        return mmap.mmap(handle, size_bytes)
    finally:
        os.close(handle)


class Board:
    """A page a rank."""

    def __init__(self, folder: Path, num_ranks: int) -> None:
        self._memory = _shared(folder / "board", PAGE_BYTES * num_ranks)

    def write(self, rank: int, waits: bool, place: dict[str, Any]) -> None:
        """Says where a rank is."""
        text = json.dumps(place).encode()[: PAGE_BYTES - _HEAD.size]
        start = rank * PAGE_BYTES
        changes = _HEAD.unpack_from(self._memory, start)[0]
        _HEAD.pack_into(self._memory, start, changes + 1, 0.0, 0, 0)
        self._memory[start + _HEAD.size : start + _HEAD.size + len(text)] = text
        _HEAD.pack_into(self._memory, start, changes + 2, time.monotonic(), len(text), int(waits))

    def waits(self, rank: int) -> None:
        """A rank waits where it said it was."""
        self._flag(rank, 1)

    def goes_on(self, rank: int) -> None:
        """A rank waits no longer; where it was last stays."""
        self._flag(rank, 0)

    def _flag(self, rank: int, waits: int) -> None:
        start = rank * PAGE_BYTES
        changes, _, size, _ = _HEAD.unpack_from(self._memory, start)
        _HEAD.pack_into(self._memory, start, changes + 2, time.monotonic(), size, waits)

    def read(self, rank: int) -> Place:
        """Where a rank is; NOWHERE if it has not said or is saying it just now."""
        start = rank * PAGE_BYTES
        changes, since_s, size, waits = _HEAD.unpack_from(self._memory, start)
        text = bytes(self._memory[start + _HEAD.size : start + _HEAD.size + size])
        if not size or changes % 2 or _HEAD.unpack_from(self._memory, start)[0] != changes:
            return NOWHERE
        said = json.loads(text)
        return Place(
            changes, since_s, bool(waits), said["what"], said["at"], said["channel"],
            said["turn"], tuple(said["members"]), said["any"],
        )  # fmt: skip


class Channel:
    """The meetings of some ranks, in order."""

    def __init__(self, folder: Path, name: str, num_members: int) -> None:
        digest = hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
        memory = _shared(folder / f"meet{digest}", RING * num_members * 16)
        self._posts: npt.NDArray[np.uint64] = np.frombuffer(memory, np.uint64).reshape(
            RING, num_members, 2
        )
        self.name = name
        self.turn = 0
        """The number of the next meeting."""

    def post(self, member: int, brings: str) -> list[int]:
        """Says what a member brings to its next meeting.

        Returns the members that came before it and brought other things.
        """
        turn, self.turn = self.turn, self.turn + 1
        mark = zlib.crc32(brings.encode())
        row = self._posts[turn % RING]
        row[member, 1] = mark
        row[member, 0] = turn + 1
        others = (row[:, 0] == turn + 1) & (row[:, 1] != mark)
        return np.flatnonzero(others).tolist() if others.any() else []

    def missing(self, turn: int) -> list[int]:
        """Members that have not come to a meeting."""
        return np.flatnonzero(self._posts[turn % RING][:, 0] < turn + 1).tolist()
