"""Are two answers the same: kind, format, shape, device, values within the format's bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from suiren.conformance.verdict import CheckError, one_line
from suiren.torch.device import NAME

#: Relative and absolute bound by format; PyTorch's own for the rest. The host may split a sum
#: otherwise over memory that is aligned otherwise, never more than this.
BOUNDS = {
    torch.float32: (1e-5, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float16: (2e-3, 1e-5),
    torch.complex64: (1e-5, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}

#: Unit roundoff of the 16-bit formats. A sum that rounds to them in between errs in units of its
#: largest terms, so an element may be off by two units of the largest one.
UNITS = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}


def must_be_alike(
    check: str, got: Any, want: Any, values: bool = True, exact: Callable[[], Any] | None = None
) -> None:
    """Raises CheckError unless `got` (from the card) is what the host answered.

    Without `values` only kind, format, shape and device are compared. Where values differ,
    `exact` answers in FP64: the card may be the one that is nearer to it, because it sums in
    FP32 where the host rounds in between.
    """
    try:
        _all_alike(check, tree_flatten(got)[0], tree_flatten(want)[0], values)
    except DiffersError:
        if exact is None or not _nearer(got, want, exact()):
            raise


class DiffersError(CheckError):
    """Values differ; all else is the same."""


def _nearer(got: Any, want: Any, exact: Any) -> bool:
    """Whether the card is at most as far from the exact answer as the host."""
    leaves = [tree_flatten(x)[0] for x in (got, want, exact)]
    for mine, theirs, true in zip(*leaves, strict=True):
        if isinstance(true, torch.Tensor) and true.is_floating_point():
            card = (mine.detach().cpu().double() - true.detach()).abs()
            host = (theirs.detach().double() - true.detach()).abs()
            if not bool((card.nan_to_num() <= 1.25 * host.nan_to_num().max()).all()):
                return False
    return True


def _all_alike(check: str, got_leaves: list[Any], want_leaves: list[Any], values: bool) -> None:
    if len(got_leaves) != len(want_leaves):
        raise CheckError(check, f"answered {len(got_leaves)} things, the host {len(want_leaves)}")
    for mine, theirs in zip(got_leaves, want_leaves, strict=True):
        if isinstance(theirs, torch.Tensor):
            _tensors(check, mine, theirs, values)
        elif isinstance(theirs, (bool, int, float, complex)):
            _close(check, torch.tensor(mine), torch.tensor(theirs))
        elif isinstance(theirs, torch.device):
            continue
        elif type(mine) is not type(theirs):
            raise CheckError(
                check, f"answered {type(mine).__name__}, the host {type(theirs).__name__}"
            )


def _tensors(check: str, got: Any, want: torch.Tensor, values: bool) -> None:
    if not isinstance(got, torch.Tensor):
        raise CheckError(check, f"answered {type(got).__name__} instead of a tensor")
    if got.device.type != NAME:
        raise CheckError(check, f"answered on {got.device.type}: the result has left the card")
    if got.dtype != want.dtype:
        raise CheckError(check, f"answered {got.dtype}, the host {want.dtype}")
    if got.layout != want.layout:
        raise CheckError(check, f"answered {got.layout}, the host {want.layout}")
    if want.is_nested:
        _nested(check, got, want)
        return
    if got.shape != want.shape:
        raise CheckError(check, f"answered shape {tuple(got.shape)}, the host {tuple(want.shape)}")
    if values:
        _close(check, _dense(got.detach().cpu()), _dense(want.detach()))


def _nested(check: str, got: torch.Tensor, want: torch.Tensor) -> None:
    mine, theirs = got.unbind(), want.unbind()
    if len(mine) != len(theirs):
        raise CheckError(check, f"answered {len(mine)} parts, the host {len(theirs)}")
    for a, b in zip(mine, theirs, strict=True):
        _tensors(check, a, b, True)


def _dense(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _close(check: str, got: torch.Tensor, want: torch.Tensor) -> None:
    rtol, atol = BOUNDS.get(want.dtype, (None, None))
    if want.dtype in UNITS and want.numel():
        finite = want[want.isfinite()]
        largest = float(finite.abs().max()) if finite.numel() else 0.0
        atol = max(atol or 0.0, 2 * UNITS[want.dtype] * largest)
    try:
        torch.testing.assert_close(got, want, rtol=rtol, atol=atol, equal_nan=True)
    except (AssertionError, RuntimeError, NotImplementedError) as problem:
        raise DiffersError(check, one_line(problem)) from None
