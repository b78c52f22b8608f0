"""The registry: every kind of tie by name."""

from __future__ import annotations

from suiren.port.kinds_device import (
    BACKEND_TIES,
    CUDA_MODULE_TIES,
    DEVICE_TIES,
    FORMAT_TIES,
    TYPE_TIES,
)
from suiren.port.kinds_outside import KERNEL_TIES, OPTION_TIES, TEXT_TIES
from suiren.port.tie import Tie

ALL_TIES = (
    *DEVICE_TIES,
    *CUDA_MODULE_TIES,
    *TYPE_TIES,
    *BACKEND_TIES,
    *FORMAT_TIES,
    *KERNEL_TIES,
    *OPTION_TIES,
    *TEXT_TIES,
)
TIES: dict[str, Tie] = {tie.name: tie for tie in ALL_TIES}
