"""A parameter moved to the card or back stays the same object, as on CUDA.

So tied weights stay tied, and an optimizer made before keeps its parameters.
"""

from __future__ import annotations

from typing import Any

import torch


def install() -> None:
    """Modules exchange what a parameter holds, wherever else it may be referred to."""
    torch.__future__.set_swap_module_params_on_conversion(True)
    swap = torch.utils.swap_tensors

    def exchange(one: Any, other: Any) -> None:
        """PyTorch refuses where a graph or a weak reference knows the tensor; CUDA does not."""
        if one is other:
            return
        if isinstance(one, torch.nn.parameter.UninitializedTensorMixin):
            torch._C._swap_tensor_impl(one, other)  # still without a shape, it keeps its class
            return
        try:
            swap(one, other)
        except RuntimeError as refusal:
            if "slots" in str(refusal):
                raise
            torch._C._swap_tensor_impl(one, other)
            one.__class__, other.__class__ = other.__class__, one.__class__
            one.__dict__, other.__dict__ = other.__dict__, one.__dict__

    torch.utils.swap_tensors = exchange
    _fall_back()


def _fall_back() -> None:
    """Where a tensor cannot be exchanged, as under a profiler of memory, a new one stands in."""
    apply = torch.nn.Module._apply

    def _apply(self: Any, fn: Any, recurse: bool = True) -> Any:
        try:
            return apply(self, fn, recurse)
        except RuntimeError as refusal:
            if "Couldn't swap" not in str(refusal):
                raise
        torch.__future__.set_swap_module_params_on_conversion(False)
        try:
            return apply(self, fn, recurse)
        finally:
            torch.__future__.set_swap_module_params_on_conversion(True)

    torch.nn.Module._apply = _apply
