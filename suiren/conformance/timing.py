"""Does every op that ran on the card get a time, and which times only count traffic."""

from __future__ import annotations

import math

from suiren.conformance.judgement import Times, one_line
from suiren.hw.spec import Card
from suiren.mapper.price import price
from suiren.torch import _shim
from suiren.trace.call import Call, parse_call

#: Not an op: the record of what a root module was called with.
ROOT_CALL = "suiren::call"
#: Distinct calls of an op that are priced for one subject; others differ in sizes alone.
CALLS_AN_OP = 8


class Watch:
    """Reads what was recorded since the last look and prices it on a card."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.num_read = 0
        _shim.recording(True)

    def times(self) -> Times:
        """Prices what appeared since, every op with some of its calls; forgets the events."""
        lines = _shim.signatures(self.num_read)
        self.num_read += len(lines)
        _shim.forget()
        calls = _some_of_each_op([parse_call(line) for line in lines])
        approximated: dict[str, None] = {}
        failed = []
        for call in calls:
            try:
                found = price(call, self.card)
            except Exception as problem:
                failed.append(f"{call}: {one_line(problem)}")
                continue
            if not _is_time(found.total_s):
                failed.append(f"{call}: {found.total_s} s")
            if found.approximated:
                approximated[call.name] = None
        return Times(len(calls), tuple(approximated), tuple(failed))


def _some_of_each_op(calls: list[Call]) -> list[Call]:
    """At most so many calls of an op, spread evenly over those there are."""
    of_op: dict[str, list[Call]] = {}
    for call in calls:
        if call.op != ROOT_CALL:
            of_op.setdefault(call.op, []).append(call)
    kept = []
    for same in of_op.values():
        count = min(len(same), CALLS_AN_OP)
        kept += [same[i * len(same) // count] for i in range(count)]
    return kept


def _is_time(seconds: float) -> bool:
    return math.isfinite(seconds) and seconds >= 0
