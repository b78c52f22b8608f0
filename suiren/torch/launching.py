"""Kernels that the host launches as one: marks in the record, and how they are read.

A mark is a recorded event on a stream number that no queue has. It becomes a `GRAPH` event
of the program; between begin and end the host spends no time on single kernels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from suiren.torch import _shim
from suiren.torch.device import NAME
from suiren.trace.program import Kind

_END = 0x8000
"""Stream number of an end; a begin's is higher by the number of what is launched."""
MOST = 0x7FFF
_GCU = 20  # c10::DeviceType::PrivateUse1
_event: list[torch.Event] = []
contexts_of: dict[int, list[int]] = {}
"""By number of a captured graph: the contexts its kernels had when they were captured."""
_num_numbered = 0


def new_number() -> int:
    """A number for what will be launched as one, from 2 on; 1 says that contexts are as found."""
    global _num_numbered
    _num_numbered += 1
    return 2 + (_num_numbered - 1) % (MOST - 2)


def _mark(number: int) -> None:
    if not _event:
        _event.append(torch.Event(NAME))
    device = int(_shim.current_device())
    _event[0].record(torch.Stream(stream_id=_END + number, device_index=device, device_type=_GCU))


@contextlib.contextmanager
def as_one(number: int = 1) -> Iterator[None]:
    """The kernels inside are launched as one."""
    _mark(number)
    try:
        yield
    finally:
        _mark(0)


def read_marks(events: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The events with marks as `GRAPH` rows, and with the contexts that kernels were captured in.

    `events` are rows of `EVENT`; they come back unchanged where nothing was launched as one.
    """
    low = events["stream"] & 0xFFFF
    marks = np.flatnonzero((events["kind"] == Kind.RECORD) & (low >= _END))
    if not len(marks):
        return events
    events = events.copy()
    numbers = low[marks] - _END
    events["kind"][marks] = Kind.GRAPH
    events["what"][marks] = 0
    events["stream"][marks] &= ~np.int32(0xFFFF)
    events["value"][marks] = numbers > 0
    for begin, number in zip(marks.tolist(), numbers.tolist(), strict=True):
        ends = marks[marks > begin]
        if number in contexts_of and len(ends):
            _give_contexts(events[begin + 1 : ends[0]], contexts_of[number])
    return events


def _give_contexts(rows: npt.NDArray[Any], contexts: list[int]) -> None:
    """An op takes the context it was captured in, an allocation that of the op it is for."""
    is_op = rows["kind"] == Kind.OP
    if int(is_op.sum()) != len(contexts):
        return
    rows["context"][is_op] = contexts
    own = np.cumsum(is_op) - is_op
    memory = np.flatnonzero((rows["kind"] == Kind.ALLOC) & (own < len(contexts)))
    rows["context"][memory] = np.array(contexts, dtype=np.int32)[own[memory]]
