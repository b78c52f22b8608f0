"""What a step's time went to: every instant has one reason, the parts sum to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from suiren.events.span import Span
from suiren.mapper.step import StepTime
from suiren.units import PS_PER_S


def split(time: StepTime, parts: Sequence[str]) -> dict[str, float]:
    """Seconds of the step by what happens; where several things do, the first of `parts` counts.

    `parts` are what spans tell as their reason, `idle` the last of them. What repeats from step
    to step is cut out of the spans as one period that ends with the step.
    """
    start, end = time.end_ps - time.period_ps, time.end_ps
    order = {part: n for n, part in enumerate(parts)}
    found = dict.fromkeys(parts, 0.0)
    active = [0] * len(parts)
    at = start
    for moment, number, change in _changes(time.spans, order, start, end):
        if moment > at:
            now = next((n for n, count in enumerate(active) if count), len(parts) - 1)
            found[parts[now]] += (moment - at) / PS_PER_S
            at = moment
        active[number] += change
    found[parts[-1]] += max(0, end - at) / PS_PER_S
    return found


def _changes(
    spans: Iterable[Span], order: dict[str, int], start: int, end: int
) -> list[tuple[int, int, int]]:
    """(moment, part, +1 or -1), in order of time."""
    idle = len(order) - 1
    changes = []
    for span in spans:
        number = order.get(span.why, idle)
        first, last = max(start, span.start_ps), min(end, span.end_ps)
        if first < last and number != idle:
            changes += [(first, number, 1), (last, number, -1)]
    return sorted(changes)
