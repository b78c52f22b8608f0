"""What kernels lose while a collective runs beside them."""

from __future__ import annotations

from suiren.fleet.cost import COLLECTIVE_CORES
from suiren.hw.spec import Card

#: Vendors whose libraries move and add data by kernels on the chip's own cores. The others have
#: engines for it beside their cores.
_ON_CORES = frozenset({"NVIDIA", "AMD"})


def slowed_beside(card: Card) -> float:
    """How much longer what the engines bound takes beside a collective, as a share."""
    if card.chip.vendor not in _ON_CORES:
        return 0.0
    left = max(1.0, card.cores - COLLECTIVE_CORES)
    return float(COLLECTIVE_CORES / left)
