"""PyTorch's profiler on a card: the host's rows are measured, the card's times are simulated."""

from __future__ import annotations

import contextlib
from collections import defaultdict, deque
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.autograd import profiler as _autograd
from torch.autograd.profiler_util import FunctionEvent

CARD = "cuda"
Mark = tuple[int, int]
"""A point of the record: steps ended, and events since."""
_wanted = False


def mark() -> Mark:
    """Where the record is now; set by the session."""
    return 0, 0


def kernels_since(since: Mark) -> list[tuple[str, float]]:
    """(op, microseconds) of every kernel since a mark; set by the session."""
    return []


def install() -> None:
    """A profile that asks for CUDA's activities gets the card's."""
    _patch_beginning()
    _patch_end()
    _autograd.emit_nvtx = _EmitNothing


class _EmitNothing(contextlib.ContextDecorator):
    """Marks for a profiler that a virtual card does not have."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None: ...

    def __enter__(self) -> _EmitNothing:
        return self

    def __exit__(self, *_: object) -> None: ...


def _patch_beginning() -> None:
    activity = torch.profiler.ProfilerActivity
    start, begin = torch.profiler.profile.__init__, _autograd.profile.__init__

    def init(self: Any, *, activities: Any = None, **keywords: Any) -> None:
        global _wanted
        _wanted = activities is None or activity.CUDA in activities
        if activities is not None:
            activities = [a for a in activities if a != activity.CUDA] or [activity.CPU]
        start(self, activities=activities, **keywords)

    def init_autograd(self: Any, enabled: bool = True, **keywords: Any) -> None:
        global _wanted
        asked = keywords.pop("use_cuda", False) or keywords.get("use_device") == CARD
        if asked:
            _wanted, keywords["use_device"] = True, None
        begin(self, enabled, **keywords)

    torch.profiler.profile.__init__ = init
    _autograd.profile.__init__ = init_autograd


def _patch_end() -> None:
    start, stop = _autograd.profile._start_trace, _autograd.profile.__exit__
    ensure = _autograd.profile._ensure_function_events

    def start_trace(self: Any) -> None:
        self._card_mark = mark() if _wanted else None
        start(self)

    def exit_(self: Any, *arguments: Any) -> Any:
        found = getattr(self, "_card_mark", None)
        self._card_kernels = kernels_since(found) if found is not None else []
        return stop(self, *arguments)

    def ensure_events(self: Any) -> None:
        ensure(self)
        kernels, self._card_kernels = getattr(self, "_card_kernels", []), []
        if kernels and self._function_events:
            _give(self._function_events, kernels)

    _autograd.profile._start_trace = start_trace
    _autograd.profile.__exit__ = exit_
    _autograd.profile._ensure_function_events = ensure_events


def _give(events: Any, kernels: list[tuple[str, float]]) -> None:
    """The kernels of each op, in the order they were issued, to its rows in the same order."""
    waiting: dict[str, deque[float]] = defaultdict(deque)
    for name, micros in kernels:
        waiting[name].append(micros)
    events._use_device = CARD
    rows = []
    for event in sorted(events, key=lambda e: e.time_range.start):
        event.use_device = CARD
        if not waiting[event.name]:
            continue
        micros = waiting[event.name].popleft()
        name = event.name.removeprefix("aten::") + " (simulated)"
        event.append_kernel(name, 0, micros)
        start = event.time_range.start
        rows.append(
            FunctionEvent(
                id=event.id, name=name, thread=0, start_us=start, end_us=start + micros,
                use_device=CARD, device_type=DeviceType.CUDA, stack=[], input_shapes=[],
            )
        )  # fmt: skip
    events.extend(rows)
