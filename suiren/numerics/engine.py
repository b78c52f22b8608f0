"""The card's products in its own order and width of sums, instead of the host's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from suiren.core.accumulate import product
from suiren.hw.accumulate import accumulation
from suiren.hw.spec import Card
from suiren.numerics.host import on_host
from suiren.numerics.wide import Asked
from suiren.torch import _shim
from suiren.torch.device import multiplies_in_tf32

#: Multiply-accumulates from which a product stays the host's: the chip's order is slow here.
MOST_MACS = 1 << 26
_PEAK = {torch.float16: "fp16", torch.bfloat16: "bf16"}


@dataclass(frozen=True)
class Engine:
    """Products of one card."""

    card: Card

    def __call__(self, asked: Asked, result: Any) -> None:
        """Writes the engine's own result over the host's, where the op is a product it sums."""
        host = on_host(result)
        base = asked.kind.base
        first = 1 if base.startswith(("addmm", "baddbmm")) else 0
        if base.startswith("convolution") or base == "addbmm":
            return
        given = [on_host(t) for t in asked.args[first : first + 2]]
        found = self.product(given[0], given[1], tf32=multiplies_in_tf32("matmul"))
        if found is None or not bool(torch.isfinite(found).all()):
            return
        if first:
            named = dict(asked.named())
            bias = on_host(asked.args[0]).float()
            found = named.get("alpha", 1) * found + named.get("beta", 1) * bias
        if base == "addmm_activation":
            found = torch.relu(found) if not asked.kwargs.get("use_gelu") else found
            if asked.kwargs.get("use_gelu"):
                found = torch.nn.functional.gelu(found)
        host.copy_(found)

    def shadow(
        self, asked: Asked, value_of: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor | None:
        """The op's result on other values of its operands, as this card would sum it."""
        base = asked.kind.base
        if base not in ("mm", "bmm", "addmm", "baddbmm") or asked.written():
            return None
        first = 0 if base in ("mm", "bmm") else 1
        a, b = (value_of(t).to(t.dtype) for t in asked.args[first : first + 2])
        found = self.product(a, b, tf32=multiplies_in_tf32("matmul"))
        if found is None or first == 0:
            return found
        named = dict(asked.named())
        bias = value_of(asked.args[0])
        return torch.as_tensor(named.get("alpha", 1) * found + named.get("beta", 1) * bias)

    def product(self, a: torch.Tensor, b: torch.Tensor, *, tf32: bool) -> torch.Tensor | None:
        """`a @ b` of host tensors as float32; None where the host's own sum has to do."""
        peak = _PEAK.get(a.dtype, "tf32" if a.dtype == torch.float32 and tf32 else "")
        if not peak or peak not in self.card.chip.matrix:
            return None
        if a.numel() * b.shape[-1] > MOST_MACS:
            return None
        how = accumulation(self.card, peak)
        if peak == "tf32":
            a, b = (_shim.round_to_tf32(t.contiguous()) for t in (a, b))
        pairs = zip(_batched(a), _batched(b), strict=True)
        parts = [
            torch.from_numpy(product(x.double().numpy(), y.double().numpy(), how)).float()
            for x, y in pairs
        ]
        return parts[0] if a.dim() == 2 else torch.stack(parts)


def _batched(t: torch.Tensor) -> list[torch.Tensor]:
    return [t] if t.dim() == 2 else list(t)
