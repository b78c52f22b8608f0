"""What kernels lose while a collective runs beside them."""

from __future__ import annotations

from suiren.fleet.cost import COLLECTIVE_CORES
from suiren.hw.spec import Card


def slowed_beside(card: Card) -> float:
    """How much longer what the engines bound takes beside a collective, as a share.

    On GPUs libraries move and add data by kernels on the chip's own cores.
    """
    if not card.chip.is_gpu:
        return 0.0
    left = max(1.0, card.cores - COLLECTIVE_CORES)
    return float(COLLECTIVE_CORES / left)
