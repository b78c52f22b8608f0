"""The other run: the formats in which the shadow of every tensor is computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from suiren.hw.spec import Card

FORMATS = ("fp32", "fp64")


@dataclass(frozen=True)
class Against:
    """What the script is compared with: a wide format, or another card's formats."""

    name: str
    wide: torch.dtype
    card: Card | None = None

    @property
    def title(self) -> str:
        """`FP32`, or the card's name in full."""
        return self.name.upper() if self.card is None else self.card.title

    @property
    def rounds(self) -> bool:
        """Every result is rounded to the format in which the script stores it."""
        return self.card is not None

    @property
    def has_tf32(self) -> bool:
        """Its matrix engine can multiply FP32 in TF32."""
        return self.card is not None and "tf32" in self.card.formats()

    def rounded(self, result: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The result as that run stores it, in the wide format."""
        return result.to(dtype).to(self.wide) if self.rounds else result


FP32 = Against("fp32", torch.float32)
FP64 = Against("fp64", torch.float64)
