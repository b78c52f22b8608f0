"""Does every op that ran on the card get a time, and which times only count traffic."""

from __future__ import annotations

import math

from suiren.conformance.verdict import Times, one_line
from suiren.hw.spec import Card
from suiren.mapper.price import price
from suiren.torch import _shim
from suiren.trace.call import Call, parse_call

#: Not an op: the record of what a root module was called with.
ROOT_CALL = "suiren::call"


class Watch:
    """Reads what was recorded since the last look and prices it on a card."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.num_read = 0
        _shim.recording(True)

    def times(self) -> Times:
        """Prices every call that appeared since; forgets the events, which nobody asks for."""
        lines = _shim.signatures(self.num_read)
        self.num_read += len(lines)
        _shim.forget()
        calls = [call for call in map(parse_call, lines) if call.op != ROOT_CALL]
        approximated: dict[str, None] = {}
        failed = []
        for call in calls:
            try:
                found = price(call, self.card)
            except Exception as problem:
                failed.append(f"{call}: {one_line(problem)}")
                continue
            if not _is_time(found.total_s, call):
                failed.append(f"{call}: {found.total_s} s")
            if found.approximated:
                approximated[call.name] = None
        return Times(len(calls), tuple(approximated), tuple(failed))


def _is_time(seconds: float, call: Call) -> bool:
    return math.isfinite(seconds) and seconds >= 0
