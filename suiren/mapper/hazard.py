"""Porting hazards: what a card cannot do natively, and what makes a script leave it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from suiren.hw.spec import Card
from suiren.mapper.price import Price
from suiren.trace.call import Call

#: Integers of 64 bits that only address or label: every such stack narrows them without loss.
_INDEX_OPS = frozenset(
    """embedding embedding_dense_backward index_select gather index index_put
nll_loss_forward nll_loss_backward scatter""".split()
)
_HOST_OPS = frozenset({"_local_scalar_dense"})


@dataclass(frozen=True, slots=True)
class Hazard:
    """Something a port to this card has to deal with."""

    kind: str
    op: str
    count: int
    text: str


def hazards(calls: Iterable[tuple[Call, int, Price]], card: Card) -> list[Hazard]:
    """Hazards of a step's calls (call, how often, price), most frequent first."""
    sums: dict[tuple[str, str], tuple[int, str]] = {}
    for call, count, priced in calls:
        for kind, text in _of(call, priced, card):
            before = sums.get((kind, call.name), (0, text))[0]
            sums[(kind, call.name)] = (before + count, text)
    rows = [Hazard(kind, op, count, text) for (kind, op), (count, text) in sums.items()]
    return sorted(rows, key=lambda h: (-h.count, h.kind, h.op))


def _of(call: Call, priced: Price, card: Card) -> Iterable[tuple[str, str]]:
    formats = {t.dtype for t in (*call.inputs(), *call.results()) if t.numel and not t.on_host}
    lacking = card.chip.lacks
    if "i64" in formats and "i64" in lacking and call.name != "copy_":
        if call.name in _INDEX_OPS:
            yield "64-bit integers", "indices of 64 bits: the chip works on 32; values must fit"
        else:
            yield "64-bit integers", "arithmetic on 64-bit integers is emulated or narrowed"
    if "f64" in formats and "f64" in lacking:
        yield "64-bit floats", "the chip has no f64: emulated or narrowed to f32"
    if priced.emulated:
        yield "format", priced.emulated
    if call.name in _HOST_OPS:
        yield "synchronisation", "the host waits for the device to read one value"
