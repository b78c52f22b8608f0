"""Which device an argument means: an index, a string, a `torch.device`, or the current one."""

from __future__ import annotations

import torch

from suiren.torch import _shim
from suiren.torch.device import NUM_DEVICES

Where = torch.device | str | int | None


def index_of(where: Where) -> int:
    """Its ordinal; raises RuntimeError for one that the node does not have."""
    if where is None:
        return int(_shim.current_device())
    index = where if isinstance(where, int) else torch.device(where).index
    if index is None or index < 0:
        return int(_shim.current_device())
    if index >= NUM_DEVICES:
        raise RuntimeError(
            f"GCU error: invalid device ordinal {index}; "
            f"this node has gcu:0 to gcu:{NUM_DEVICES - 1}"
        )
    return index
