"""What is wrong with one op's results: not finite, lost to zero, or off by more than explained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from suiren.numerics.explain import LARGEST, NORMAL, SCATTERS, UNIT, allowed, is_strict
from suiren.numerics.host import Table, is_card, on_host
from suiren.numerics.nonfinite import cause_of, number
from suiren.numerics.place import Place
from suiren.numerics.trouble import Trouble, Weight, format_name, statistics
from suiren.numerics.wide import Asked

#: Share of elements lost to zero from which it is told, and is trouble.
LOST_NOTE, LOST_TROUBLE = 0.05, 0.2
LEAST_ELEMENTS = 16
#: An error beyond the allowed one by less may be the reference's own.
SLACK = 1.5
#: Ops that put a constant of the script's into a tensor: it may be meant to be infinite.
_CONSTANTS = frozenset("masked_fill fill full where scatter index_fill constant_pad_nd clamp "
                       "new_full full_like scalar_tensor index_put".split())  # fmt: skip
#: Ops whose memory holds nothing yet.
_UNWRITTEN = ("empty", "new_empty", "empty_like", "empty_strided", "resize", "new_empty_strided")


@dataclass(frozen=True)
class Result:
    """One floating result of an op: the card's tensor and the exact values from its inputs."""

    index: int
    tensor: torch.Tensor
    exact: torch.Tensor | None


def judge(
    asked: Asked, result: Result, place: Place, table: Table, order: int, tf32: bool,
    before: dict[int, torch.Tensor],
) -> Trouble | None:  # fmt: skip
    """The trouble with this result, if any."""
    if asked.kind.base in _UNWRITTEN:
        return None
    card = on_host(result.tensor)
    if not bool(torch.isfinite(card).all()):
        return _not_finite(asked, result, card, place, table, order, before)
    if result.exact is None or result.tensor.dtype not in UNIT:
        return None
    return _inexact(asked, result, card, place, order, tf32, before)


def _inputs(asked: Asked, before: dict[int, torch.Tensor]) -> list[torch.Tensor]:
    """Floating inputs as they were before the op, on the host."""
    return [
        before[id(t)] if id(t) in before else on_host(t) if is_card(t) else t
        for t in asked.inputs()
    ]


def _not_finite(
    asked: Asked, result: Result, card: torch.Tensor, place: Place, table: Table, order: int,
    before: dict[int, torch.Tensor],
) -> Trouble | None:  # fmt: skip
    has_nan = bool(card.isnan().any())
    name = format_name(result.tensor.dtype)
    if not any(is_card(t) for t in asked.inputs()) and not _is_computed(asked):
        if not has_nan:
            return None
        count = int(card.isnan().sum())
        came = "when they came to the card" if asked.inputs() else "because the script said so"
        cause = f"{count} of {card.numel()} values were NaN {came}"
        return Trouble("nan", place, cause, "trouble", name, order,
                       tensors=[statistics(result.tensor, "result")])  # fmt: skip
    inputs = _inputs(asked, before)
    given_nan = any(bool(t.isnan().any()) for t in inputs)
    given_inf = any(bool(t.isinf().any()) for t in inputs)
    if asked.kind.base in _CONSTANTS:
        given_inf = given_inf or any(math.isinf(n) for n in asked.numbers())
    if (has_nan and given_nan) or (not has_nan and (given_inf or given_nan)):
        return None
    why = cause_of(asked, card, result.exact, before)
    what, weight = _kind(card, result, has_nan)
    made_by = None
    for culprit in why.culprits:
        held = table.of(culprit) if is_card(culprit) else None
        if held is not None and held.maker is not None and held.maker.op != place.op:
            made_by = held.maker
            break
        if held is not None and held.maker is not None and made_by is None:
            made_by = held.maker
    return Trouble(what, place, why.words, weight, name, order, made_by,
                   _tensors(asked, result, before))  # fmt: skip


def _is_computed(asked: Asked) -> bool:
    return bool(asked.inputs()) and asked.kind.base not in ("to_copy", "copy")


def _kind(card: torch.Tensor, result: Result, has_nan: bool) -> tuple[Any, Weight]:
    if has_nan:
        return "nan", "trouble"
    exact = result.exact
    if exact is not None and exact.shape == card.shape:
        lost = torch.isfinite(exact) & ~torch.isfinite(card)
        if bool(lost.any()):
            return "overflow", "trouble"
    return "infinity", "pending"


def _tensors(asked: Asked, result: Result, before: dict[int, torch.Tensor]) -> list[Any]:
    found = [
        statistics(before.get(id(t), t), f"input {i}")
        for i, t in enumerate(asked.inputs())
        if t.numel()
    ]
    return [*found[:6], statistics(result.tensor, "result")]


def _inexact(
    asked: Asked, result: Result, card: torch.Tensor, place: Place, order: int, tf32: bool,
    before: dict[int, torch.Tensor],
) -> Trouble | None:  # fmt: skip
    exact, dtype = result.exact, result.tensor.dtype
    assert exact is not None
    if exact.shape != card.shape or not card.numel():
        return None
    wide = card.double()
    off = (wide - exact).abs()
    units = 1.01 if is_strict(asked) else 8.0
    size = exact.abs()
    if bool((off <= units * UNIT[dtype] * size).all()):
        return None
    found = _underflow(asked, result, card, exact, place, order, before)
    if found is not None:
        return found
    if not bool(torch.isfinite(exact).all()):
        return None
    explained = allowed(asked, result.index, exact, dtype, tf32, before)
    ratio = off / explained.tolerance.clamp_min(torch.finfo(torch.float64).tiny)
    worst = float(ratio.max())
    if worst <= SLACK:
        return None
    at = int(ratio.reshape(-1).argmax())
    got, true = float(wide.reshape(-1)[at]), float(exact.reshape(-1)[at])
    cause = (
        f"{number(got)} instead of {number(true)}: {worst:.3g} times what "
        f"{explained.rule} of {explained.terms} terms explains"
        if explained.terms > 1
        else f"{number(got)} instead of {number(true)}: {worst:.3g} times what a rounding explains"
    )
    backward = place.phase == "backward" and asked.kind.base in SCATTERS
    return Trouble("error", place, cause, "note" if backward else "trouble",
                   format_name(dtype), order, None, _tensors(asked, result, before),
                   {**percentiles(off, exact, dtype), "times_explained": worst})  # fmt: skip


def percentiles(off: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype) -> dict[str, float]:
    """Errors in unit roundoffs of the format, relative to each element: median, 99 %, largest."""
    size = exact.abs().clamp_min(NORMAL[dtype])
    units = (off / size / UNIT[dtype]).reshape(-1)
    if units.numel() > 1 << 20:
        units = units[:: units.numel() >> 20]
    ranks = torch.tensor([0.5, 0.99], dtype=torch.float64)
    median, high = torch.quantile(units, ranks).tolist()
    return {"units_p50": median, "units_p99": high, "units_max": float(units.max())}


def _underflow(
    asked: Asked, result: Result, card: torch.Tensor, exact: torch.Tensor, place: Place,
    order: int, before: dict[int, torch.Tensor],
) -> Trouble | None:  # fmt: skip
    there = exact != 0
    count = int(there.sum())
    if count < LEAST_ELEMENTS:
        return None
    gone = int((there & (card == 0)).sum())
    if gone < LOST_NOTE * count:
        return None
    dtype = result.tensor.dtype
    strength = float(exact[there].square().mean().sqrt())
    whole = strength < NORMAL[dtype]
    limit = LOST_TROUBLE if place.phase == "backward" else 0.9
    weight: Weight = "trouble" if whole and gone >= limit * count else "note"
    cause = (
        f"{100 * gone / count:.0f} % of the values became zero: their size is about "
        f"{number(strength)}, {format_name(dtype)}'s smallest normal number is "
        f"{number(NORMAL[dtype])}"
    )
    return Trouble("underflow", place, cause, weight, format_name(dtype), order, None,
                   _tensors(asked, result, before), {"share_lost": gone / count})  # fmt: skip


__all__ = ["LARGEST", "Result", "judge", "percentiles"]
