"""A program: what a script asked of the device, and never where or how fast.

Calls are interned, steps that repeat are kept once. An event is a row of `EVENT`; the
storages of an op stand in a side array, in the order of the call's tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from suiren.trace.call import Call

EVENT = np.dtype(
    [("kind", "i4"), ("what", "i4"), ("context", "i4"), ("stream", "i4"), ("value", "i8")]
)
"""`stream` is device << 16 | stream; `value` is bytes, or an op's offset into the storages."""


LIVE = np.dtype([("number", "i4"), ("context", "i4"), ("bytes", "i8")])
"""An allocation that is there when a step ends."""


class Kind(IntEnum):
    """What an event is."""

    OP = 0
    ALLOC = 1
    FREE = 2
    SYNC = 3
    RECORD = 4
    WAIT = 5
    HOST_WAIT = 6
    ENTER = 7
    GRAPH = 8
    """Kernels that the host launches as one begin (value 1) or end (value 0)."""


PHASES = ("forward", "backward", "optimizer", "data", "recompute")


@dataclass(frozen=True, slots=True)
class Context:
    """Where an op stands in the script: its phase and the path of the module it serves."""

    phase: str
    path: str


@dataclass(frozen=True)
class Step:
    """One training step: its events in the order the host issued them."""

    events: npt.NDArray[Any]
    storages: npt.NDArray[np.int32]
    live: npt.NDArray[Any]
    """Rows of `LIVE`: what is allocated when the step ends."""

    def storages_of(self, index: int) -> npt.NDArray[np.int32]:
        """Storages of the op at an event index, aligned with the call's tensors."""
        events = self.events
        start = int(events["value"][index])
        after = np.flatnonzero(events["kind"][index + 1 :] == Kind.OP)
        stop = int(events["value"][index + 1 + after[0]]) if len(after) else len(self.storages)
        return self.storages[start:stop]

    @property
    def num_ops(self) -> int:
        """How many ops the step issues."""
        return int((self.events["kind"] == Kind.OP).sum())


@dataclass(frozen=True, slots=True)
class Label:
    """What a long-lived storage holds: `weights`, `optimizer state`, … and its name."""

    kind: str
    name: str


@dataclass
class Program:
    """Everything a script asked of the device."""

    calls: list[Call] = field(default_factory=list)
    contexts: list[Context] = field(default_factory=list)
    distinct: list[Step] = field(default_factory=list)
    """Steps that differ; the last may be a rest after the last optimizer step."""
    order: list[int] = field(default_factory=list)
    """Index into `distinct` for every step, in the order they ran."""
    rest: Step | None = None
    """What ran after the last step ended."""
    labels: dict[int, Label] = field(default_factory=dict)
    """Long-lived storages by number."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What the script is: its name, whether values were computed, how many parameters …"""

    def all_steps(self) -> Sequence[Step]:
        """Every step in order, and the rest."""
        steps = [self.distinct[k] for k in self.order]
        return [*steps, self.rest] if self.rest is not None and len(self.rest.events) else steps

    def steady(self) -> int | None:
        """Index into `distinct` of the steady step, None if nothing ran.

        The step that repeats most, the later one among equals; if none repeats, the last.
        """
        if not self.order:
            return None
        if len(self.order) == 1:
            return self.order[0]
        counts: dict[int, int] = {}
        for k in self.order[1:]:
            counts[k] = counts.get(k, 0) + 1
        best = max(counts.values())
        if best == 1:
            return self.order[-1]
        return max(k for k, n in counts.items() if n == best)

    def num_warm_up(self) -> int:
        """Steps before the steady step first ran."""
        steady = self.steady()
        return 0 if steady is None else self.order.index(steady)
