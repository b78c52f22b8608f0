"""What a measurement adds to a collective: the host, ranks that come late, what was timed of it."""

from __future__ import annotations

from dataclasses import dataclass

from suiren.hw.fact import Fact


@dataclass(frozen=True, slots=True)
class Sender:
    """What the sending rank's own kernel takes, which ends before the message has arrived.

    NCCL's sender copies pieces into buffers between the two cards (4 MiB a channel) and is done
    when the last one lies there; what exceeds the buffers waits for the wire.
    """

    base_s: Fact
    copy_bytes_per_s: Fact
    ahead_bytes: Fact
    """What the buffers hold."""


@dataclass(frozen=True, slots=True)
class Added:
    """What a measurement adds to a collective."""

    least_s: float = 0.0
    """No shorter time can be measured: the host's way through the call."""
    skew_s: float = 0.0
    """How long ranks wait for the last one to join."""
    sender: Sender | None = None
    """Set where a send was timed by its sender's kernel and the buffers matter."""
    trees: bool = False
    """Whether two binary trees were taken between the boxes, other than we would choose."""
