"""What a running process says of one of its virtual devices. Every value is simulated."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Device:
    """One virtual device at one moment; None where a value is not known (yet)."""

    pid: int
    index: int
    """Its number in its process."""
    rank: int
    world_size: int
    card: str
    title: str
    script: str
    started_s: float
    """Unix time at which the process started the device."""
    updated_s: float
    """Unix time of what stands here."""
    numerics: bool = True
    total_bytes: int = 0
    used_bytes: int = 0
    reserved_bytes: int = 0
    """What the caching allocator holds: used and what it kept."""
    peak_bytes: int = 0
    steps: int = 0
    step_s: float | None = None
    """Simulated seconds of the step looked at last."""
    simulated_s: float = 0.0
    """Simulated seconds of the steps looked at so far."""
    tokens_per_s: float | None = None
    samples_per_s: float | None = None
    mfu: float | None = None
    busy_share: float | None = None
    """Share of the step in which a kernel or a collective ran."""
    parts_share: dict[str, float] = field(default_factory=dict)
    """Share of the step by what bounds it: matrix, vector, memory … idle."""
    power_w: float | None = None
    limit_w: float = 0.0
    energy_j: float = 0.0
    clock_hz: float | None = None
    full_clock_hz: float = 0.0
    num_clusters: int = 0
    received_bytes: float = 0.0
    """From the host over its link."""
    sent_bytes: float = 0.0
    received_bytes_per_s: float | None = None
    sent_bytes_per_s: float | None = None
    collective_bytes: float = 0.0
    """What the collectives so far were asked to move."""

    @property
    def uuid(self) -> str:
        """The same as long as the process lives, and another for every process."""
        return _uuid(self.pid, self.started_s, self.index)

    @property
    def bus_id(self) -> str:
        """A bus number that no real device has: domain ffff stands for none."""
        return f"ffff:{self.rank % 256:02x}:{self.index:02x}.0"

    @property
    def is_active(self) -> bool:
        """True once a step ran."""
        return self.steps > 0


@lru_cache(maxsize=4096)
def _uuid(pid: int, started_s: float, index: int) -> str:
    told = f"{socket.gethostname()} {pid} {started_s} {index}"
    return f"GCU-SIM{hashlib.sha256(told.encode()).hexdigest()[:12].upper()}"


_NAMES = {f.name for f in fields(Device)}


def as_json(device: Device) -> dict[str, Any]:
    """Plain values, with the names that follow from others."""
    return {**vars(device), "uuid": device.uuid, "bus_id": device.bus_id}


def from_json(told: dict[str, Any]) -> Device:
    """The device of `as_json`; names of another version are left out."""
    return Device(**{name: value for name, value in told.items() if name in _NAMES})
