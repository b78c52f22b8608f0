"""The backend `eccl`."""

from __future__ import annotations

from typing import Any

import torch.distributed as dist

from suiren.torch.device import NAME
from suiren.torch.distributed import backend, moving, reduction, splitting

BACKEND = "eccl"
_registered = False


def install() -> None:
    """Makes `eccl` the card's backend of `torch.distributed`; a second call does nothing."""
    global _registered
    if _registered or not dist.is_available():
        return
    _registered = True
    dist.Backend.register_backend(BACKEND, _create, extended_api=True, devices=[NAME])
    dist.Backend.default_device_backend_map[NAME] = BACKEND
    backend.register(moving.moved)
    reduction.install()
    splitting.install()


def _create(options: Any, _: Any = None) -> Any:
    return dist.ProcessGroupGloo(
        options.store, options.group_rank, options.group_size, timeout=options.timeout
    )
