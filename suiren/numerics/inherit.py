"""What a result takes over from its inputs: who made it, how coarse and how far apart it is."""

from __future__ import annotations

import torch

from suiren.numerics.explain import UNIT, beside
from suiren.numerics.host import Table, is_card, widened
from suiren.numerics.place import Place
from suiren.numerics.values import TF32_UNIT, in_tf32
from suiren.numerics.wide import Asked

#: Ops whose result may be nothing but roundings of what cancelled.
_CANCELLING = frozenset("add sub sum".split())
#: Ops that only move values: their maker stays.
_MOVES = frozenset("unsafe_view clone".split())


def made(table: Table, asked: Asked) -> Place | None:
    """Who made the values that an op only moves."""
    if asked.kind.base not in _MOVES:
        return None
    held = table.of(asked.args[0]) if is_card(asked.args[0]) else None
    return held.maker if held is not None else None


def is_noise(table: Table, asked: Asked, index: int, size: float, unit: float) -> bool:
    """Nothing is left of the sum but roundings, or nothing else went into the op."""
    inputs = [table.of(t) for t in beside(asked, index) if is_card(t)]
    held = [h for h in inputs if h is not None and h.norm > 0]
    if not held:
        return False
    if asked.kind.base in _CANCELLING:
        return size <= 4 * unit * max(h.norm for h in held)
    return all(h.is_noise for h in held)


def coarsest(table: Table, asked: Asked, dtype: torch.dtype) -> float:
    """Unit roundoff of the coarsest format that went into the op."""
    units = [UNIT[dtype], TF32_UNIT if in_tf32(asked) else 0.0]
    for tensor in asked.inputs():
        held = table.of(tensor) if is_card(tensor) else None
        units.append(held.unit if held is not None else UNIT.get(tensor.dtype, 0.0))
    return max(units)


def operands(
    table: Table, asked: Asked, scope: tuple[object, ...], sums: torch.Tensor | None
) -> list[tuple[float, float]]:
    """(error, norm) of each operand of a sum or difference."""
    if asked.kind.base not in ("add", "sub", "rsub"):
        return []
    found = []
    for tensor in asked.inputs():
        held = table.of(tensor) if is_card(tensor) else None
        ours = held is not None and (held.scope == scope or tensor is sums)
        norm = float(torch.linalg.vector_norm(widened(tensor, torch.float64)))
        found.append((held.error if ours and held is not None else 0.0, norm))
    return found


def apart(table: Table, asked: Asked) -> float:
    """The largest relative difference between the runs among the op's inputs."""
    held = [table.of(t) for t in asked.inputs() if is_card(t)]
    return max((h.apart for h in held if h is not None), default=0.0)
