"""What a collective hands back: to wait for it makes the current stream wait, as on a GPU."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from suiren.torch.distributed.asked import flat

_alive: dict[int, Work] = {}
"""Works by number, kept for callers that hold only the native half of them until they wait."""
_waited: deque[Work] = deque(maxlen=4096)
"""Works that were waited for: one that stands for several tensors is waited for once for each."""
_count = 0


class Work(dist._Work):  # type: ignore[misc, name-defined]
    """A collective under way.

    `finish` completes its values and tells the rank they came from; None if they are there.
    """

    def __init__(
        self, result: Any, device: torch.device,
        finish: Callable[[], int | None] | None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._source: int | None = None
        self._result, self._finish = result, finish
        self._left: list[weakref.ref[torch.Tensor]] | None = None
        self._stream: torch.Stream | None = None
        self._event: torch.Event | None = None
        if device.type != "cpu":
            self._stream = torch.gcu.current_stream(device)
            self._event = self._stream.record_event()
        global _count
        _count += 1
        self._number = _count
        _alive[_count] = self

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Makes the current stream wait for the collective, and the values be there."""
        self.complete()
        self._let_go()
        if self._stream is not None and self._event is not None:
            torch.gcu.current_stream(self._stream.device).wait_event(self._event)
        return True

    def complete(self) -> None:
        """Makes the values be there; the record is not touched."""
        finish, self._finish = self._finish, None
        if finish is not None:
            self._source = finish()

    def _source_rank(self) -> int | None:
        """Who sent what a `recv` got, as a rank of the group."""
        return self._source

    def is_completed(self) -> bool:
        """True once the values are there."""
        return self._finish is None

    def is_success(self) -> bool:
        """True: what fails raises."""
        return True

    def synchronize(self) -> None:
        """The same as `wait`."""
        self.wait()

    def get_future(self) -> Any:
        """The result's future; waiting for it makes the current stream wait."""
        self.complete()
        future = _filled(self.result(), self._stream)
        self._let_go()
        return future

    def result(self) -> Any:
        """The tensors that the collective filled; once waited for, those that are still there."""
        if self._left is None:
            return self._result
        return [tensor for reference in self._left if (tensor := reference()) is not None]

    def _let_go(self) -> None:
        """Keeps no memory any more, but stays: the native half may be waited for again."""
        if _alive.pop(self._number, None) is not None:
            _waited.append(self)
        if self._left is None:
            self._left = [weakref.ref(tensor) for tensor in flat(self._result)]
            self._result = None


def _filled(result: list[torch.Tensor], stream: torch.Stream | None) -> Any:
    """A future that holds the result once the stream has come as far as it is now."""
    future: Any = torch.futures.Future(devices=[] if stream is None else [stream.device])
    with torch.gcu.stream(stream):
        future.set_result(result)
    return future
