"""Which reduction a script asked for: the ops themselves carry it in a form Python cannot read."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.distributed import _functional_collectives as functional
from torch.distributed import distributed_c10d as c10d

_asked: list[str] = []
_installed = False


def take() -> str:
    """The reduction of the collective being issued: `sum`, `avg`, `max`, …; `sum` if unsaid."""
    return _asked.pop() if _asked else "sum"


def install() -> None:
    """Notes every reduction asked for from Python; a second call does nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    for name in (
        "AllreduceOptions", "AllreduceCoalescedOptions", "ReduceOptions", "ReduceScatterOptions",
    ):  # fmt: skip
        setattr(c10d, name, _noting(getattr(c10d, name)))
    for name in (
        "all_reduce", "all_reduce_coalesced", "reduce_scatter_tensor",
        "reduce_scatter_tensor_coalesced", "reduce_scatter_single",
    ):  # fmt: skip
        if hasattr(functional, name):
            setattr(functional, name, _noted(getattr(functional, name)))


def name_of(op: Any) -> str:
    """The reduction's name in small letters, from PyTorch's enum, object or string."""
    if isinstance(op, str):
        return op.lower()
    kind = getattr(op, "op", op)
    return str(kind).rsplit(".", 1)[-1].lower()


def _noting(options: Any) -> Any:
    """The class of options, noting the reduction it is given; a plain sum is noted when made."""

    class Noting(options):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            _asked[:] = ["sum"]

        @property
        def reduceOp(self) -> Any:  # noqa: N802 - PyTorch's name
            return options.reduceOp.__get__(self)

        @reduceOp.setter
        def reduceOp(self, op: Any) -> None:  # noqa: N802
            _asked[:] = [name_of(op)]
            options.reduceOp.__set__(self, op)

    return Noting


def _noted(function: Any) -> Any:
    """A functional collective that notes its `reduceOp`, its second argument."""

    @functools.wraps(function)
    def call(value: Any, *arguments: Any, **keywords: Any) -> Any:
        _asked[:] = [name_of(keywords["reduceOp"] if "reduceOp" in keywords else arguments[0])]
        return function(value, *arguments, **keywords)

    return call


def of_equal_values(value: torch.Tensor, op: str, count: int) -> torch.Tensor:
    """What `count` ranks that all hold `value` reduce to."""
    if op in ("sum", "premul_sum"):
        return value * count
    if op == "product":
        return value**count
    if op == "bxor":
        return value if count % 2 else value - value
    return value


