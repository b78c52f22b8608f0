"""Streams and events of `torch.gcu`; `elapsed_time` answers simulated milliseconds."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch

from suiren.torch.device import NAME
from suiren.torch.where import Where, index_of


class _ExactType(type):
    """PyTorch checks streams and events by exact type, so these names make its own."""

    exact: type

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, cls.exact)


class _StreamType(_ExactType):
    exact = torch.Stream

    def __call__(cls, device: Where = None, priority: int = 0, **kw: Any) -> Any:
        if kw:
            return torch.Stream(**kw)
        return torch.Stream(device=torch.device(NAME, index_of(device)), priority=priority)


class Stream(metaclass=_StreamType):
    """An in-order queue of one device; makes a `torch.Stream`."""


ExternalStream = Stream


class _EventType(_ExactType):
    exact = torch.Event

    def __call__(
        cls,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
        **_: Any,
    ) -> Any:
        return torch.Event(NAME, enable_timing=enable_timing, blocking=blocking)


class Event(metaclass=_EventType):
    """A point in a stream; `elapsed_time` between two is simulated milliseconds."""


def current_stream(where: Where = None) -> torch.Stream:
    """The stream that ops go to now."""
    return torch._C._accelerator_getStream(index_of(where))


def default_stream(where: Where = None) -> torch.Stream:
    """The stream with number 0."""
    return torch.Stream(stream_id=0, device_index=index_of(where), device_type=20)


def set_stream(stream: torch.Stream) -> None:
    """Makes a stream the current one of its device."""
    if stream is not None:
        torch._C._accelerator_setStream(stream)


class StreamContext:
    """Context manager: ops inside go to the given stream."""

    def __init__(self, stream: torch.Stream | None) -> None:
        self.stream = stream
        self.previous: torch.Stream | None = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self.previous = current_stream(self.stream.device_index)
            set_stream(self.stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.previous is not None:
            set_stream(self.previous)


def stream(stream: torch.Stream | None) -> StreamContext:
    """Context manager: ops inside go to the given stream."""
    return StreamContext(stream)
