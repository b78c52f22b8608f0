"""Where the two runs part: how far the card's values are from the other run's."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from suiren.numerics.place import Place
from suiren.numerics.trouble import format_name

#: Roundoffs of its format that a tensor may differ by, as norms, before the runs part.
PARTED_UNITS = 32.0
#: An op that makes the difference so many times larger amplifies it.
AMPLIFIED = 8.0


@dataclass(frozen=True)
class Parted:
    """One tensor in both runs."""

    place: Place
    format: str
    relative: float
    """Norm of the difference over the norm of the other run's tensor."""
    units: float
    """The same in unit roundoffs of the coarsest format that the values came through."""
    inputs: float
    """The largest relative difference among what the op was given."""

    @property
    def how(self) -> str:
        """`amplified` where the op was given much less of a difference, else `accumulated`."""
        return "amplified" if self.relative > AMPLIFIED * self.inputs else "accumulated"


@dataclass
class Parting:
    """Largest differences so far."""

    first: Parted | None = None
    """The first result that differs by more than `PARTED_UNITS`."""
    by_module: dict[str, Parted] = field(default_factory=dict)
    """The largest of each module and phase."""
    by_step: dict[int, float] = field(default_factory=dict)
    """Step -> the largest relative difference."""

    def note(
        self,
        place: Place,
        card: torch.Tensor,
        shadow: torch.Tensor,
        dtype: torch.dtype,
        unit: float,
        inputs: float,
    ) -> float:
        """Sets one result beside its shadow; the relative difference.

        `unit` is of the coarsest format behind it, `inputs` the difference among its inputs.
        """
        size = float(torch.linalg.vector_norm(shadow, dtype=torch.float64))
        off = float(torch.linalg.vector_norm(card.double() - shadow.double()))
        if not (0 < size < math.inf):
            return 0.0
        relative = off / size if math.isfinite(off) else math.inf
        self.by_step[place.step] = max(self.by_step.get(place.step, 0.0), relative)
        key = f"{place.phase} {place.module}"
        known = self.by_module.get(key)
        units = relative / unit
        if self.first is not None and known is not None and known.relative >= relative:
            return relative
        parted = Parted(place, format_name(dtype), relative, units, inputs)
        if known is None or relative > known.relative:
            self.by_module[key] = parted
        if self.first is None and units > PARTED_UNITS:
            self.first = parted
        return relative
