"""Sums that lose digits term by term, and differences that lose them at once.

One rounding too many is within its format's bounds. A sum of a thousand terms, rounded to the
format after each, is not what the format could hold: each addition is right and the sum is
wrong. So the exact value of such a chain is carried beside it, from the card's own terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from suiren.numerics.explain import UNIT
from suiren.numerics.host import Chain, Held, Table
from suiren.numerics.place import Place
from suiren.numerics.wide import Asked

ADDS = frozenset("add sub rsub foreach_add foreach_sub addmm addmv baddbmm addbmm addcmul addr "
                 "addcdiv lerp foreach_addcmul foreach_addcdiv foreach_lerp".split())  # fmt: skip
#: Ops after which a partial sum is still the partial sum.
_PASSES = frozenset("to_copy clone copy unsafe_view".split())
#: Ops that scale a partial sum in place: a moving average.
_SCALES = frozenset("mul div foreach_mul foreach_div".split())
_DIFFERENCES = frozenset("add sub rsub".split())

LEAST_TERMS = 8
#: Roundoffs of its format that a pure sum may be off by, over all its elements.
PURE_UNITS = 1.5
#: The same where partial sums are used between the additions, as in a residual stream.
USED_UNITS = 8.0
#: An error below this is nobody's trouble.
LEAST_ERROR = 2e-4
#: Roundoffs, and share, that a difference may be off by while its operands are not.
CANCELLED_UNITS = 64.0
CANCELLED_SHARE = 2e-3
#: Beyond this condition float64 itself does not hold the difference.
MOST_CONDITION = 1e9


@dataclass(frozen=True)
class Lost:
    """Digits lost by a chain or a difference."""

    what: Literal["accumulation", "cancellation"]
    error: float
    """Norm of the error over the norm of the exact values."""
    length: int
    condition: float
    unit: float
    """Unit roundoff of the format that lost them."""

    def words(self, name: str) -> str:
        """What happened, in the format of that name."""
        percent = f"{100 * self.error:.2g} %"
        if self.what == "accumulation":
            return (
                f"{self.length} terms were added one after the other, each sum rounded to {name}: "
                f"{percent} off the exact sum, {self.error / self.unit:.3g} roundoffs"
            )
        return (
            f"the operands are {self.condition:.3g} times as large as their difference, and "
            f"carry {name} roundings: {percent} of it is error"
        )


def partial_sum(asked: Asked, table: Table, place: Place) -> torch.Tensor | None:
    """The operand that is the sum so far, where this op adds one more term to it."""
    if asked.kind.base not in ADDS | _PASSES | _SCALES:
        return None
    written = asked.written()
    if len(written) == 1 and not asked.kind.overwrites:
        return written[0]
    if asked.kind.base in _SCALES:
        return None
    line = (place.file, place.line)
    for tensor in asked.inputs():
        held = table.of(tensor) if not tensor.is_cpu else None
        if held is None or held.chain is None:
            continue
        if held.chain.line == line or asked.kind.base in _PASSES:
            return tensor
    return None


def grown(asked: Asked, held: Held | None, place: Place, dtype: torch.dtype) -> Chain | None:
    """The chain after this op; `held` is what stands beside the sum so far, if there is one."""
    base = asked.kind.base
    line = (place.file, place.line)
    unit = UNIT.get(dtype, 0.0)
    before = held.chain if held is not None else None
    if before is not None:
        unit = max(unit, before.unit)
    if base in _PASSES | _SCALES:
        return None if before is None else replace(before, unit=unit)
    if base not in ADDS:
        return None
    if before is None or held is None:
        return Chain(line, 1, place.node == "", place, unit)
    others = {reader for reader in held.readers if reader not in (line, before.line)}
    is_pure = before.is_pure and place.node == "" and place.phase != "optimizer" and not others
    return Chain(before.line, before.length + 1, is_pure, before.starts, unit)


def off_by(card: torch.Tensor, exact: torch.Tensor) -> tuple[float, float]:
    """(norm of the difference over the norm of the exact values, that norm)."""
    size = float(torch.linalg.vector_norm(exact))
    if size == 0:
        return 0.0, 0.0
    return float(torch.linalg.vector_norm(card.double() - exact)) / size, size


def lost(
    asked: Asked, dtype: torch.dtype, error: float, size: float, chain: Chain | None,
    operands: list[tuple[float, float]],
) -> Lost | None:  # fmt: skip
    """What this op lost; `operands` holds each input's error and norm."""
    unit = UNIT[dtype]
    if chain is not None and chain.length >= LEAST_TERMS:
        units = PURE_UNITS if chain.is_pure else USED_UNITS
        if asked.kind.base in ADDS and error > max(units * chain.unit, LEAST_ERROR):
            return Lost("accumulation", error, chain.length, 1.0, chain.unit)
        return None
    if asked.kind.base not in _DIFFERENCES or len(operands) < 2 or size == 0:
        return None
    condition = sum(norm for _, norm in operands) / size
    worst = max(e for e, _ in operands)
    if condition > MOST_CONDITION or error < max(CANCELLED_UNITS * unit, CANCELLED_SHARE):
        return None
    if error < 8 * worst:
        return None
    return Lost("cancellation", error, 0, condition, unit)
