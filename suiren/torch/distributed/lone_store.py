"""The store of a rank whose peers do not run: nothing waits for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist

from suiren.torch.distributed.post import Line, Want


class LoneStore(dist.Store):  # type: ignore[misc, name-defined]
    """Keys that this rank set, then those that a rank beside it set; counters count everybody."""

    def __init__(self, line: Line, world_size: int) -> None:
        super().__init__()
        self.line, self.world_size = line, world_size
        self.values: dict[str, bytes] = {}
        self.counts: dict[str, int] = {}

    def set(self, key: str, value: Any) -> None:
        """Sets a key, for the ranks beside this one too."""
        self.values[key] = value if isinstance(value, bytes) else str(value).encode()
        self.line.post(("store", key), ("store", key), self.values[key])

    def get(self, key: str) -> bytes:
        """The value of a key; raises `Refused` if no rank that runs sets it."""
        if key not in self.values:
            if key in self.counts:
                return str(self.counts[key]).encode()
            said = key.split("//", 1)[-1]  # without the names of the groups it belongs to
            want = Want(f"store.get({said!r})", ("store", key), ("store", key), -1, True)
            self.values[key] = self.line.take(want) or b""
        return self.values[key]

    def add(self, key: str, amount: int) -> int:
        """Adds as if every rank did."""
        self.counts[key] = self.counts.get(key, 0) + amount * self.world_size
        return self.counts[key]

    def append(self, key: str, value: Any) -> None:
        """Appends to what this rank knows of a key."""
        more = value if isinstance(value, bytes) else str(value).encode()
        self.values[key] = self.values.get(key, b"") + more

    def compare_set(self, key: str, expected: Any, desired: Any) -> bytes:
        """Sets the key if it holds `expected` or nothing; what it holds now."""
        want = expected if isinstance(expected, bytes) else str(expected).encode()
        if self.values.get(key, b"") in (want, b""):
            self.set(key, desired)
        return self.values[key]

    def wait(self, keys: Sequence[str], timeout: timedelta | None = None) -> None:
        """Everybody has arrived."""

    def check(self, keys: Sequence[str]) -> bool:
        """Everybody has arrived."""
        return True

    def delete_key(self, key: str) -> bool:
        """Forgets a key; True if it was there."""
        return self.values.pop(key, None) is not None

    def num_keys(self) -> int:
        """How many keys this rank knows."""
        return len(self.values)

    def set_timeout(self, timeout: timedelta) -> None:
        """Accepted; nothing waits."""
