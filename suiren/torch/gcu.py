"""The module `torch.gcu`: the device's Python face, shaped like the real stack's.

Times that `Event.elapsed_time` answers are the chip's, simulated, in milliseconds.
"""

from __future__ import annotations

from typing import Any

import torch

from suiren.torch import _shim
from suiren.torch import device as _device
from suiren.torch.device import submodule, visible_devices
from suiren.torch.gcu_graphs import (
    GCUGraph,
    graph,
    graph_pool_handle,
    is_current_stream_capturing,
    make_graphed_callables,
    refuse_while_capturing,
)
from suiren.torch.gcu_memory import (
    empty_cache,
    ipc_collect,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_snapshot,
    memory_stats,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from suiren.torch.gcu_random import (
    generators,
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from suiren.torch.gcu_streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)
from suiren.torch.where import Where, index_of

__all__ = [
    "Event", "ExternalStream", "GCUGraph", "GradScaler", "OutOfMemoryError", "Stream",
    "StreamContext", "amp", "autocast", "can_device_access_peer", "current_device",
    "current_stream", "default_generators", "default_stream", "device", "device_count",
    "device_of", "empty_cache", "generators", "get_amp_supported_dtype", "get_arch_list",
    "get_device_capability", "get_device_name", "get_device_properties", "get_rng_state",
    "get_rng_state_all", "graph", "graph_pool_handle", "init", "initial_seed", "ipc_collect",
    "is_available", "is_bf16_supported", "is_current_stream_capturing", "is_initialized",
    "is_tf32_supported", "make_graphed_callables", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_cached", "max_memory_reserved", "mem_get_info",
    "memory_allocated", "memory_cached", "memory_reserved", "memory_snapshot", "memory_stats",
    "memory_summary", "random", "reset_accumulated_memory_stats", "reset_max_memory_allocated",
    "reset_max_memory_cached", "reset_peak_memory_stats", "seed", "seed_all", "set_device",
    "set_per_process_memory_fraction", "set_rng_state", "set_rng_state_all", "set_stream",
    "stream", "synchronize", "utilization",
]  # fmt: skip

OutOfMemoryError = torch.OutOfMemoryError
default_generators = generators

#: What PyTorch's checkpointing asks before it saves and restores random states.
_initialized = True
#: The card every device is; set by the session.
_card: Any = None


def is_available() -> bool:
    """True: the virtual device is always there."""
    return True


def is_initialized() -> bool:
    """True: the device needs no late start."""
    return True


def init() -> None:
    """Nothing to do."""


_lazy_init = init


def device_count() -> int:
    """Cards of the node, or as many as TOPS_VISIBLE_DEVICES lists."""
    return visible_devices()


def current_device() -> int:
    """Index of the device that new tensors go to."""
    return int(_shim.current_device())


def set_device(where: Where) -> None:
    """Makes a device the current one; raises for an ordinal the node does not have."""
    index = index_of(where)
    if index >= device_count():
        raise RuntimeError(
            f"GCU error: invalid device ordinal {index}; "
            f"visible are gcu:0 to gcu:{device_count() - 1}"
        )
    _shim.set_device(index)


class device:  # noqa: N801 - PyTorch's own spelling
    """Context manager: another current device inside."""

    def __init__(self, where: Where) -> None:
        self.index = index_of(where)
        self.previous = -1

    def __enter__(self) -> None:
        self.previous = current_device()
        _shim.set_device(self.index)

    def __exit__(self, *_: object) -> None:
        _shim.set_device(self.previous)


class device_of(device):  # noqa: N801
    """Context manager: the device of a tensor inside."""

    def __init__(self, tensor: torch.Tensor) -> None:
        super().__init__(tensor.device if tensor.device.type != "cpu" else None)


def synchronize(where: Where = None) -> None:
    """The host waits until the device has done everything issued to it."""
    refuse_while_capturing()
    _shim.synchronize(index_of(where))


# ---- what the device is


def get_device_name(where: Where = None) -> str:
    """The card's title, marked as virtual."""
    return f"{_card.title} (virtual)" if _card else "GCU (virtual)"


class _Properties:
    """What `get_device_properties` answers; fields as CUDA scripts read them."""

    def __init__(self, card: Any, total_memory: int) -> None:
        self.name = get_device_name()
        self.total_memory = total_memory
        self.multi_processor_count = int(card.cores) if card else 24
        self.major, self.minor = get_device_capability()
        self.warp_size = 32
        self.max_threads_per_multi_processor = 2048
        self.L2_cache_size = int(card.l2_bytes) if card else 0
        self.gcnArchName = card.chip.name if card else "gcu"
        self.is_integrated = False

    def __repr__(self) -> str:
        return (
            f"_GcuDeviceProperties(name='{self.name}', major={self.major}, minor={self.minor}, "
            f"total_memory={self.total_memory // 2**20}MB, "
            f"multi_processor_count={self.multi_processor_count})"
        )


def get_device_properties(where: Where = None) -> _Properties:
    """Name, memory in bytes, number of cores, capability."""
    index_of(where)
    return _Properties(_card, _shim.capacity())


def get_device_capability(where: Where = None) -> tuple[int, int]:
    """(major, minor) of the card."""
    capability: tuple[int, int] = _card.capability if _card else (1, 0)
    return capability


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the chip has BF16."""
    return _card is None or "bf16" in _card.formats()


def is_tf32_supported() -> bool:
    """Whether the chip has TF32."""
    return _card is None or "tf32" in _card.formats()


def get_arch_list() -> list[str]:
    """The chip's architecture name."""
    return [_card.chip.name] if _card else []


def can_device_access_peer(one: Where, other: Where) -> bool:
    """True: cards of one node are joined."""
    return True


def utilization(where: Where = None) -> int:
    """Percent of time the device was busy; a virtual device says 0 while a script runs."""
    return 0


# ---- mixed precision


def get_amp_supported_dtype() -> list[torch.dtype]:
    """Formats autocast may use."""
    return [torch.float16, torch.bfloat16]


class autocast(torch.amp.autocast_mode.autocast):  # noqa: N801
    """`torch.amp.autocast` for this device; FP16 unless told otherwise."""

    def __init__(
        self, enabled: bool = True, dtype: torch.dtype = torch.float16, cache_enabled: bool = True
    ) -> None:
        super().__init__(_device.NAME, enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


class GradScaler(torch.amp.GradScaler):
    """`torch.amp.GradScaler` for this device."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords.pop(
            "use_zero_grad", None
        )  # the T20 era's own switch; gradients are set to None here
        super().__init__(_device.NAME, *arguments, **keywords)


amp = submodule("amp", autocast=autocast, GradScaler=GradScaler)
random = submodule(
    "random", get_rng_state=get_rng_state, set_rng_state=set_rng_state, manual_seed=manual_seed
)


def _is_in_bad_fork() -> bool:
    return False
