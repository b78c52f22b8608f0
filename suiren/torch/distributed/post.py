"""A rank's end of the line to those who run beside it: messages posted and taken, and a store.

Only values that exist travel here: small control tensors, pickled objects, keys of the store.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol


class Refused(RuntimeError):  # noqa: N818 - reads as what it is
    """A message that will never come; the sentence names the op and who should have sent it."""


@dataclass(frozen=True, slots=True)
class Want:
    """A message that a rank waits for."""

    op: str
    """What waits: `recv`, `broadcast`, `store`."""
    channel: Hashable
    """Where it is posted; the same words on both sides."""
    kin: Hashable
    """The same, in words that hold for every rank that does the same work."""
    source: int
    """The global rank that posts it, -1 if anyone may."""
    is_kept: bool
    """Posted once for many to read; otherwise each message is taken once, in order."""


class Line(Protocol):
    """What a rank can say and ask."""

    def post(self, channel: Hashable, kin: Hashable, payload: bytes | None) -> None:
        """Leaves a message; None says that there is no value."""

    def take(self, want: Want) -> bytes | None:
        """Waits for a message; None if there is no value. Raises `Refused`."""


@dataclass
class Nobody:
    """No rank runs beside this one: what was posted by itself is all there is."""

    posted: dict[Hashable, list[bytes | None]] = field(default_factory=dict)

    def post(self, channel: Hashable, kin: Hashable, payload: bytes | None) -> None:
        """Leaves a message for itself."""
        self.posted.setdefault(channel, []).append(payload)

    def take(self, want: Want) -> bytes | None:
        """What this rank posted itself, else no value."""
        mine = self.posted.get(want.channel)
        if not mine:
            return None
        return mine[-1] if want.is_kept else mine.pop(0)


class Wire:
    """A line to the process that runs the ranks."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def post(self, channel: Hashable, kin: Hashable, payload: bytes | None) -> None:
        """Leaves a message; does not wait."""
        self.connection.send(("post", channel, kin, payload))

    def take(self, want: Want) -> bytes | None:
        """Waits for a message. Raises `Refused` if it will never come."""
        self.connection.send(("take", want))
        answer: tuple[str, Any] = self.connection.recv()
        if answer[0] == "refused":
            raise Refused(answer[1])
        payload: bytes | None = answer[1]
        return payload
