"""Kernels on integers that an accelerator has and the host lacks.

Scripts ask `device.type == "cpu"` before they cast, so these must take integers as they are.
"""

from __future__ import annotations

import torch

_library: torch.library.Library | None = None


def histc(x: torch.Tensor, bins: int = 100, min: float = 0, max: float = 0) -> torch.Tensor:  # noqa: A002
    """Counts [bins] in the input's own format; the host counts only floats, F64 holds them all."""
    if not x.is_floating_point():
        counts = torch.histc(x.to(torch.float64), bins, min, max)
        return counts.to(x.dtype)
    with torch._C._AutoDispatchBelowAutograd():
        return torch.histc(x, bins, min, max)


def register() -> None:
    """Puts the kernels before the card's own, which hand an op to the host as it is."""
    global _library
    _library = torch.library.Library("aten", "IMPL")
    _library.impl("histc", histc, "AutogradPrivateUse1")
