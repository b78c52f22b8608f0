"""What a step computes: matrix FLOP and dynamic energy."""

from __future__ import annotations

import numpy as np

from suiren.hw.spec import Card
from suiren.mapper.families.attention import recomputed_share
from suiren.mapper.step import Prices
from suiren.trace.program import Kind, Program, Step


class WorkDone:
    """Sums over the ops of a step, each distinct one looked at once."""

    def __init__(self, program: Program, prices: Prices, step: Step) -> None:
        self.counts: dict[int, int] = {}
        """Call -> how often it runs."""
        self.by_format: dict[str, float] = {}
        """Matrix FLOP by peak format."""
        self.model_flop = self.flop = self.dynamic_j = 0.0
        for call, context, times in _distinct(step):
            self.counts[call] = self.counts.get(call, 0) + times
            flop = prices.price(call).flop
            for name, amount in flop.items():
                self.by_format[name] = self.by_format.get(name, 0.0) + times * amount
            amount = times * sum(flop.values())
            self.flop += amount
            if program.contexts[context].phase != "recompute":
                self.model_flop += amount * (1 - recomputed_share(program.calls[call]))
        for call, times in self.counts.items():
            self.dynamic_j += times * prices.price(call).energy_j(prices.clock)

    def peak_flop_per_s(self, card: Card) -> float:
        """Peak of the format in which most FLOP ran."""
        if not self.by_format:
            return max((card.peak_flop_per_s(f) for f in card.formats()), default=0.0)
        return card.peak_flop_per_s(max(self.by_format, key=lambda f: self.by_format[f]))


def _distinct(step: Step) -> list[tuple[int, int, int]]:
    """(call, context, how often), in the order they first run."""
    ops = step.events[step.events["kind"] == Kind.OP]
    pairs = np.stack([ops["what"], ops["context"]], axis=1)
    if not len(pairs):
        return []
    found, first, times = np.unique(pairs, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return [
        (int(call), int(context), int(n))
        for (call, context), n in zip(found[order].tolist(), times[order].tolist(), strict=True)
    ]
