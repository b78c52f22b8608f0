"""What an op is given in each of the runs that stand beside the card's."""

from __future__ import annotations

from collections.abc import Callable

import torch

from suiren.numerics.against import Against
from suiren.numerics.host import Table, is_card, widened
from suiren.numerics.wide import Asked
from suiren.torch import _shim
from suiren.torch.device import multiplies_in_tf32

#: FLOP of a product from which its reference is computed in float32.
LARGE_FLOP = 2e9
_CONVOLUTIONS = frozenset("convolution convolution_overrideable convolution_backward "
                          "convolution_backward_overrideable".split())  # fmt: skip
_MATRIX = frozenset("mm bmm addmm baddbmm addbmm addmm_activation".split()) | _CONVOLUTIONS
#: Operands that enter the matrix engine, by position.
OPERANDS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "addbmm": (1, 2),
             "addmm_activation": (1, 2), "convolution": (0, 1)}  # fmt: skip
TF32_UNIT = 2.0**-11
_ATTENTION = "scaled_dot_product_fused_attention_overrideable"

ValueOf = Callable[[torch.Tensor], torch.Tensor]


class Given:
    """Values of tensors in the other runs."""

    def __init__(self, table: Table, against: Against) -> None:
        self.table = table
        self.against = against

    def wide_of(self, tensor: torch.Tensor) -> torch.dtype:
        """The format of its shadow."""
        return torch.float64 if tensor.dtype == torch.float64 else self.against.wide

    def locally(
        self, asked: Asked, before: dict[int, torch.Tensor], wide: torch.dtype
    ) -> ValueOf:
        """The card's own values, wide; `before` holds what the op wrote over."""

        def value_of(tensor: torch.Tensor) -> torch.Tensor:
            old = before.get(id(tensor))
            if old is not None:
                return old.to(wide, copy=True)
            value = widened(tensor, wide)
            return value if value.is_floating_point() or not asked.kind.written else value.clone()

        return value_of

    def shadows(self, asked: Asked, tf32: bool) -> ValueOf:
        """Shadows, and the card's values where there is none; operands in TF32 if asked."""
        operands: set[int] = set()
        if tf32 and self.against.has_tf32:
            places = OPERANDS.get(asked.kind.base, ())
            operands = {id(asked.args[i]) for i in places if i < len(asked.args)}
        written = {id(t) for t in asked.written()}

        def value_of(tensor: torch.Tensor) -> torch.Tensor:
            held = self.table.of(tensor) if is_card(tensor) else None
            seen = held.shadow.seen_as(tensor) if held is not None and held.shadow else None
            if seen is None:
                wide = self.wide_of(tensor) if is_card(tensor) else self.against.wide
                value = widened(tensor, wide)
                return value.clone() if asked.kind.written else value
            if id(tensor) in operands and seen.dtype == torch.float32:
                return _shim.round_to_tf32(seen.contiguous())
            return seen if id(tensor) in written else seen.detach()

        return value_of

    def exactly(
        self, asked: Asked, scope: tuple[object, ...], sums: torch.Tensor | None
    ) -> ValueOf:
        """Exact values of this scope and of the sum so far; the card's for all others."""
        written = {id(t) for t in asked.written()}

        def value_of(tensor: torch.Tensor) -> torch.Tensor:
            held = self.table.of(tensor) if is_card(tensor) else None
            if held is not None and held.exact is not None:
                is_sum = sums is not None and (tensor is sums or id(tensor) in written)
                is_ours = held.scope == scope if sums is None else is_sum
                seen = held.exact.seen_as(tensor) if is_ours or id(tensor) in written else None
                if seen is not None:
                    return seen
            value = widened(tensor, torch.float64)
            return value.clone() if asked.kind.written else value

        return value_of


def in_tf32(asked: Asked) -> bool:
    """The card multiplies this op's FP32 operands in TF32 now."""
    base = asked.kind.base
    if not (base in _MATRIX or base.startswith(_ATTENTION)):
        return False
    kind = "conv" if base in _CONVOLUTIONS else "matmul"
    return multiplies_in_tf32(kind) and any(
        t.dtype == torch.float32 for t in asked.inputs() if is_card(t)
    )


def flop(asked: Asked, results: list[torch.Tensor]) -> float:
    """FLOP of a product or a convolution, 0 of any other op."""
    base = asked.kind.base
    if base not in _MATRIX or not results:
        return 0.0
    inputs = asked.inputs()
    if base in _CONVOLUTIONS:
        first, weight = inputs[0], inputs[-1] if "backward" in base else inputs[1]
        size = results[0] if "backward" not in base else first
        return 2.0 * size.numel() * weight.numel() / max(1, weight.shape[0])
    return 2.0 * results[0].numel() * inputs[-1].shape[-2]
