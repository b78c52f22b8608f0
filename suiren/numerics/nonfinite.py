"""Where a NaN or an infinity came from, in words with values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from suiren.numerics.explain import LARGEST
from suiren.numerics.host import is_card, widened
from suiren.numerics.trouble import format_name
from suiren.numerics.wide import Asked


@dataclass(frozen=True)
class Cause:
    """Why one element is not finite."""

    words: str
    culprits: tuple[torch.Tensor, ...] = ()
    """Inputs whose value the words name."""


def number(value: float) -> str:
    """A number as a reader writes it: a true minus, ∞, 65504 in full."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.6g}" if 1e3 <= abs(value) < 1e7 else f"{value:.4g}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def cause_of(
    asked: Asked,
    result: torch.Tensor,
    exact: torch.Tensor | None,
    before: dict[int, torch.Tensor],
) -> Cause:
    """The first element of the card's result that is not finite, explained; NaN comes first.

    `result` holds the card's values on the host; `exact` the float64 ones from the same inputs;
    `before` the values of what the op wrote to.
    """
    wrong = result.isnan() if bool(result.isnan().any()) else ~torch.isfinite(result)
    flat = int(torch.nonzero(wrong.reshape(-1))[0])
    place = tuple(int(i) for i in torch.unravel_index(torch.tensor(flat), result.shape))
    true = float(exact[place]) if exact is not None and exact.shape == result.shape else math.nan
    given = _operands(asked, place, result.shape, before)
    words = _WORDS.get(asked.kind.base)
    if math.isfinite(true) and abs(true) > LARGEST.get(result.dtype, math.inf):
        return _overflow(asked, given, true, result.dtype, words is _exp)
    if math.isfinite(true):
        inside = f"an intermediate value left the range although the exact result is {number(true)}"
        return Cause(inside, tuple(asked.inputs()[:1]))
    if words is not None and given:
        found = words(given, asked)
        if found is not None:
            return found
    found = _softmax(asked, place)
    return found or _plain(asked, result[place], before)


def _operands(
    asked: Asked, place: tuple[int, ...], shape: torch.Size, before: dict[int, torch.Tensor]
) -> list[tuple[float, torch.Tensor | None]]:
    """(value, tensor) of each operand at the element, tensors broadcast to the result's shape."""
    found: list[tuple[float, torch.Tensor | None]] = []
    for name, value in asked.named():
        if name in ("alpha", "beta", "value", "dim", "dtype", "rounding_mode"):
            continue
        if isinstance(value, torch.Tensor):
            old = before.get(id(value))
            host = old if old is not None else widened(value, torch.float64)
            try:
                found.append((float(host.broadcast_to(shape)[place]), value))
            except (RuntimeError, TypeError):
                return []
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.append((float(value), None))
    return found


def _overflow(
    asked: Asked, given: Any, true: float, dtype: torch.dtype, is_exp: bool
) -> Cause:
    most = number(LARGEST[dtype])
    name = format_name(dtype)
    tensors = tuple(asked.inputs())
    if is_exp and given:
        return Cause(f"exp of {number(given[0][0])} is {number(true)}; {name}'s largest number "
                     f"is {most}", tensors)  # fmt: skip
    if asked.kind.base in ("to_copy", "copy"):
        return Cause(f"{number(true)} does not fit; {name}'s largest number is {most}", tensors)
    return Cause(f"the exact result is {number(true)}; {name}'s largest number is {most}", tensors)


def _who(value: tuple[float, torch.Tensor | None]) -> tuple[torch.Tensor, ...]:
    return () if value[1] is None else (value[1],)


def _log(given: Any, asked: Asked) -> Cause | None:
    x = given[0][0] + (1.0 if asked.kind.base == "log1p" else 0.0)
    if x <= 0:
        return Cause(f"{asked.kind.base} of {number(given[0][0])}", _who(given[0]))
    return None


def _divide(given: Any, asked: Asked) -> Cause | None:
    if len(given) < 2:
        return None
    a, b = given[0][0], given[1][0]
    if b == 0 or (math.isinf(a) and math.isinf(b)):
        after = ""
        if b == 0 and a != 0 and not math.isnan(a):
            after = " (a division by zero)"
        return Cause(f"{number(a)} / {number(b)}{after}", (*_who(given[1]), *_who(given[0])))
    return None


def _root(given: Any, asked: Asked) -> Cause | None:
    x = given[0][0]
    if x < 0 or (x == 0 and asked.kind.base in ("rsqrt", "reciprocal")):
        return Cause(f"{asked.kind.base} of {number(x)}", _who(given[0]))
    return None


def _domain(given: Any, asked: Asked) -> Cause | None:
    x = given[0][0]
    return Cause(f"{asked.kind.base} of {number(x)}, which has no value", _who(given[0]))


def _power(given: Any, asked: Asked) -> Cause | None:
    if len(given) < 2:
        return None
    x, n = given[0][0], given[1][0]
    return Cause(f"{number(x)} to the power {number(n)}", (*_who(given[0]), *_who(given[1])))


def _add(given: Any, asked: Asked) -> Cause | None:
    if len(given) < 2:
        return None
    a, b = given[0][0], given[1][0]
    sign = "−" if asked.kind.base in ("sub", "rsub") else "+"
    if math.isinf(a) and math.isinf(b):
        return Cause(f"{number(a)} {sign} {number(b)}".replace("+ −", "− "),
                     (*_who(given[0]), *_who(given[1])))  # fmt: skip
    return None


def _times(given: Any, asked: Asked) -> Cause | None:
    if len(given) < 2:
        return None
    a, b = given[0], given[1]
    if {0.0} <= {abs(a[0]), abs(b[0])} and (math.isinf(a[0]) or math.isinf(b[0])):
        infinite, zero = (a, b) if math.isinf(a[0]) else (b, a)
        return Cause(f"{number(zero[0])} × {number(infinite[0])}", (*_who(infinite), *_who(zero)))
    return None


def _exp(given: Any, asked: Asked) -> Cause | None:
    return Cause(f"exp of {number(given[0][0])}", _who(given[0]))


_Words = Callable[[Any, Asked], Cause | None]
_WORDS: dict[str, _Words] = {
    "log": _log, "log2": _log, "log10": _log, "log1p": _log,
    "div": _divide, "true_divide": _divide, "foreach_div": _divide,
    "sqrt": _root, "rsqrt": _root, "reciprocal": _root,
    "acos": _domain, "asin": _domain, "acosh": _domain, "atanh": _domain, "erfinv": _domain,
    "lgamma": _domain, "fmod": _divide, "remainder": _divide,
    "pow": _power, "add": _add, "sub": _add, "rsub": _add, "mul": _times,
    "exp": _exp, "exp2": _exp, "expm1": _exp, "sinh": _exp, "cosh": _exp,
}  # fmt: skip


def _softmax(asked: Asked, place: tuple[int, ...]) -> Cause | None:
    """A row of nothing but −∞ has no softmax."""
    if "softmax" not in asked.kind.base or "backward" in asked.kind.base:
        return None
    x, dim = asked.args[0], int(asked.args[1]) if len(asked.args) > 1 else -1
    host = widened(x, torch.float64) if is_card(x) else x
    at: list[Any] = list(place)
    at[dim] = slice(None)
    row = host[tuple(at)]
    name = ", ".join(str(i) for i in place[:dim] + (place[dim + 1 :] if dim != -1 else ()))
    if bool(torch.isneginf(row).all()):
        return Cause(f"row {name or '0'} of the softmax is all −∞", (x,))
    if bool(torch.isposinf(row).any()):
        return Cause(f"row {name or '0'} of the softmax holds ∞: ∞ − ∞ inside", (x,))
    return None


def _plain(asked: Asked, value: Any, before: dict[int, torch.Tensor]) -> Cause:
    """What can be said of any op: what it was given."""
    result = "NaN" if math.isnan(float(value)) else number(float(value))
    parts: list[str] = []
    culprits: list[torch.Tensor] = []
    for tensor in asked.inputs()[:4]:
        host = before.get(id(tensor), tensor)
        host = widened(host, torch.float64)
        if not host.numel():
            continue
        if not bool(torch.isfinite(host).all()):
            culprits.insert(0, tensor)
            count = int((~torch.isfinite(host)).sum())
            both = bool(torch.isposinf(host).any()) and bool(torch.isneginf(host).any())
            parts.append("an input that holds both ∞ and −∞" if both else
                         f"an input with {count} value{'s' * (count != 1)} not finite")
        else:
            culprits.append(tensor)
            low, high = number(float(host.min())), number(float(host.max()))
            parts.append(f"an input from {low} to {high}")
    return Cause(f"{asked.kind.base} of {' and '.join(parts) or 'nothing'} gives {result}",
                 tuple(culprits))  # fmt: skip
