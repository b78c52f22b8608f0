"""How much error an op's format explains, element by element.

A result is rounded once to its format: unit roundoff times its value. What the op sums inside
adds the accumulator's roundoff times the sum of magnitudes, which is the same op on absolute
values, times a factor that grows as the square root of the number of terms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from suiren.numerics.host import is_card, widened
from suiren.numerics.special import run_wide
from suiren.numerics.wide import Asked, call, results_of

UNIT = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24,
        torch.float64: 2.0**-53}  # fmt: skip
UNIT_NAMES = {2.0**-11: "FP16", 2.0**-8: "BF16", 2.0**-24: "FP32", 2.0**-53: "FP64"}
LARGEST = {d: torch.finfo(d).max for d in UNIT}
NORMAL = {d: torch.finfo(d).smallest_normal for d in UNIT}
#: Half the smallest subnormal: what rounding may change near zero.
_HALF_STEP = {d: torch.finfo(d).smallest_normal * torch.finfo(d).eps / 2 for d in UNIT}

_PRODUCTS = frozenset("mm bmm addmm baddbmm addbmm addmv mv dot vdot linear addmm_activation "
                      "convolution convolution_overrideable".split())  # fmt: skip
_SUMS = frozenset("sum mean nansum cumsum".split())
#: Ops that add many elements into one; the host adds them in the tensor's own format.
SCATTERS = frozenset("index_add scatter_add embedding_dense_backward index_put "
                     "index_put_impl scatter_reduce index_reduce".split())  # fmt: skip
_ACCUMULATOR = 2.0**-24
#: Operands of 10 bits of mantissa: each is off by half a step.
_TF32 = 2.0**-10


@dataclass(frozen=True)
class Allowed:
    """The error that is explained, beside each element of the exact result."""

    tolerance: torch.Tensor
    """Same shape as the result, float64."""
    rule: str
    terms: int


def allowed(
    asked: Asked,
    index: int,
    exact: torch.Tensor,
    dtype: torch.dtype,
    tf32: bool,
    before: dict[int, torch.Tensor],
) -> Allowed:
    """What result number `index` of the op may be off by; `exact` is its float64 value.

    `before` holds, by identity, the values that tensors had before the op wrote to them.
    """
    unit, size = UNIT[dtype], exact.abs()
    accumulator = 2.0**-53 if dtype == torch.float64 else _ACCUMULATOR
    rounding = 1.01 * unit * size + _HALF_STEP[dtype]
    if is_strict(asked):
        magnitude = _on_magnitudes(asked, index, before)
        if magnitude is not None and magnitude.shape == exact.shape:
            terms = _terms(asked, exact)
            slack = accumulator * (16 + 4 * math.sqrt(terms))
            if tf32:
                slack += _TF32
            rule = "a rounded result of a sum in FP32"
            return Allowed(rounding + slack * torch.maximum(magnitude, size), rule, terms)
    inputs = [_largest(t) for t in beside(asked, index)]
    largest = max(inputs, default=0.0)
    if asked.kind.is_pointwise:
        pointwise = 8 * unit * size + 16 * accumulator * largest + 2 * _HALF_STEP[dtype]
        return Allowed(pointwise, "one rounding an element", 1)
    return _inside(asked, exact, dtype, accumulator, inputs, tf32)


def _inside(
    asked: Asked, exact: torch.Tensor, dtype: torch.dtype, accumulator: float,
    inputs: list[float], tf32: bool,
) -> Allowed:  # fmt: skip
    """Ops that sum in ways of their own: only gross errors stand out."""
    terms = _terms(asked, exact)
    narrowest = max([UNIT[dtype], *(UNIT.get(t.dtype, 0.0) for t in asked.inputs()[:8])])
    first, second = [*sorted(inputs, reverse=True), 1.0, 1.0][:2]
    size = exact.abs()
    peak = float(size.max()) if size.numel() else 0.0
    bulk = max(peak, first, first * second * terms)
    slack = accumulator * (16 + 4 * math.sqrt(terms)) + (_TF32 if tf32 else 0.0)
    tolerance = 16 * narrowest * (size + peak) + slack * bulk + 2 * _HALF_STEP[dtype]
    return Allowed(tolerance, "its own sums in FP32", terms)


def is_strict(asked: Asked) -> bool:
    """Products, sums and own kernels: their bounds are so tight that every digit counts."""
    base = asked.kind.base
    return base in _PRODUCTS or base in _SUMS or base in SCATTERS or asked.kind.is_own


def beside(asked: Asked, index: int) -> list[torch.Tensor]:
    """Inputs of result `index`: of a list of tensors, the one at its position."""
    if "foreach" not in asked.kind.base and not asked.kind.base.startswith("fused_"):
        return asked.inputs()
    found: list[torch.Tensor] = []
    for _, value in asked.named():
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], torch.Tensor):
            found.append(value[index % len(value)])
    return [t for t in found if t.is_floating_point()]


def _largest(tensor: torch.Tensor) -> float:
    if not tensor.numel():
        return 0.0
    values = widened(tensor, torch.float32) if is_card(tensor) else tensor
    largest = float(values.abs().max())
    return largest if math.isfinite(largest) else 0.0


def _terms(asked: Asked, exact: torch.Tensor) -> int:
    """About how many terms one element sums."""
    inputs = asked.inputs()
    most = max((t.numel() for t in inputs), default=1)
    base = asked.kind.base
    if base in _PRODUCTS and not base.startswith("convolution"):
        return max((t.shape[-1] for t in inputs if t.dim()), default=1)
    if base.startswith("convolution"):
        weight = inputs[1] if len(inputs) > 1 else inputs[0]
        return max(1, weight.numel() // max(1, weight.shape[0]))
    if asked.kind.is_own:
        return max((n for t in inputs for n in t.shape), default=1)
    if base == "cumsum" or base in SCATTERS:
        return most
    return max(1, most // max(1, exact.numel()))


def _on_magnitudes(
    asked: Asked, index: int, before: dict[int, torch.Tensor]
) -> torch.Tensor | None:
    """The same op on absolute values: the condition of its sums."""

    def value_of(tensor: torch.Tensor) -> torch.Tensor:
        old = before.get(id(tensor))
        if old is not None:
            return old.double().abs()
        value = widened(tensor, torch.float64) if is_card(tensor) else tensor
        return value.abs() if value.is_floating_point() else value

    try:
        if asked.kind.is_own:
            ran = run_wide(asked, value_of, torch.float64, None)
        else:
            ran = call(asked, value_of, torch.float64, abs)
    except Exception:
        return None
    if ran is None:
        return None
    results: list[Any] = results_of(asked, *ran)
    return results[index].double().abs() if index < len(results) else None
