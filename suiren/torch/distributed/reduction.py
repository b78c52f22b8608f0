"""Which reduction a script asked for: the ops themselves carry it in a form Python cannot read."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import _functional_collectives as functional

_said: list[Any] = []
"""What the script's calls name, innermost last: an enum, an object or a string; None if unsaid."""

_METHODS = (
    "allreduce", "allreduce_coalesced", "reduce", "reduce_scatter", "_reduce_scatter_base",
    "reduce_scatter_tensor_coalesced", "reduce_scatter_single", "reduce_scatter_single_coalesced",
)  # fmt: skip
_FUNCTIONS = (
    "all_reduce", "all_reduce_coalesced", "reduce_scatter_tensor",
    "reduce_scatter_tensor_coalesced", "reduce_scatter_single",
)  # fmt: skip


def install() -> None:
    """Notes what a call of a process group or a functional collective names.

    A second call does nothing.
    """
    for owner, names, named in (
        (dist.ProcessGroup, _METHODS, _of_options), (functional, _FUNCTIONS, _of_second),
    ):  # fmt: skip
        for name in names:
            call = getattr(owner, name, None)
            if call is not None and not hasattr(call, "_notes_reduction"):
                setattr(owner, name, _noting(call, named))


def said() -> str:
    """The reduction that the call under way names: `SUM`, `AVG`, …; empty if it does not say."""
    found = asked()
    if found is None or isinstance(found, str):
        return (found or "").upper()
    return str(getattr(found, "op", found).name)


def asked() -> Any:
    """What the call under way names, as it names it; None if it does not say."""
    return _said[-1] if _said else None


def _of_options(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return getattr(keywords.get("opts", arguments[-1]), "reduceOp", None)


def _of_second(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    return keywords["reduceOp"] if "reduceOp" in keywords else arguments[1]


def _noting(call: Callable[..., Any], named: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def noted(*arguments: Any, **keywords: Any) -> Any:
        _said.append(named(arguments, keywords))
        try:
            return call(*arguments, **keywords)
        finally:
            _said.pop()

    noted._notes_reduction = True
    return noted


def of_equal_values(value: torch.Tensor, op: str, count: int) -> torch.Tensor:
    """What `count` ranks that all hold `value` reduce to; `op` as `said` names it."""
    if op in ("", "SUM", "PREMUL_SUM"):
        return value * count
    if op == "PRODUCT":
        return value**count
    if op == "BXOR":
        return value if count % 2 else value - value
    return value
