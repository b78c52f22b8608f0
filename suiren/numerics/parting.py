"""Where the two runs part: how far the card's values are from the other run's."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from suiren.numerics.place import Place
from suiren.numerics.trouble import format_name

#: Roundoffs of its format that a tensor may differ by, as norms, before the runs part.
PARTED_UNITS = 32.0


@dataclass(frozen=True)
class Parted:
    """One tensor in both runs."""

    place: Place
    format: str
    relative: float
    """Norm of the difference over the norm of the other run's tensor."""
    units: float
    """The same in unit roundoffs of the coarsest format that the values came through."""


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
    ) -> None:
        """Sets one result beside its shadow; `unit` is of the coarsest format behind it."""
        size = float(torch.linalg.vector_norm(shadow, dtype=torch.float64))
        off = float(torch.linalg.vector_norm(card.double() - shadow.double()))
        if not (size > 0 and off < float("inf")):
            return
        relative = off / size
        self.by_step[place.step] = max(self.by_step.get(place.step, 0.0), relative)
        key = f"{place.phase} {place.module}"
        known = self.by_module.get(key)
        units = relative / unit
        if self.first is not None and known is not None and known.relative >= relative:
            return
        parted = Parted(place, format_name(dtype), relative, units)
        if known is None or relative > known.relative:
            self.by_module[key] = parted
        if self.first is None and units > PARTED_UNITS:
            self.first = parted
