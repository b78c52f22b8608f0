"""The module `torch.gcu`: the device's Python face, shaped like the real stack's.

Times that `Event.elapsed_time` answers are the chip's, simulated, in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch

from suiren.torch import _shim
from suiren.torch import device as _device
from suiren.torch.device import submodule, visible_devices

OutOfMemoryError = torch.OutOfMemoryError
_Where = torch.device | str | int | None
_generators: list[torch.Generator] = _shim.generators()
default_generators = tuple(_generators)

#: What PyTorch's checkpointing asks before it saves and restores random states.
_initialized = True
#: The card every device is; set by the session.
_card: Any = None


def _index(where: _Where) -> int:
    if where is None:
        return current_device()
    index = where if isinstance(where, int) else torch.device(where).index
    if index is None or index < 0:
        return current_device()
    if index >= _device.NUM_DEVICES:
        raise RuntimeError(
            f"GCU error: invalid device ordinal {index}; "
            f"this node has gcu:0 to gcu:{_device.NUM_DEVICES - 1}"
        )
    return index


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


def set_device(where: _Where) -> None:
    """Makes a device the current one; raises for an ordinal the node does not have."""
    index = _index(where)
    if index >= device_count():
        raise RuntimeError(
            f"GCU error: invalid device ordinal {index}; "
            f"visible are gcu:0 to gcu:{device_count() - 1}"
        )
    _shim.set_device(index)


class device:  # noqa: N801 - PyTorch's own spelling
    """Context manager: another current device inside."""

    def __init__(self, where: _Where) -> None:
        self.index = _index(where)
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


def synchronize(where: _Where = None) -> None:
    """The host waits until the device has done everything issued to it."""
    _shim.synchronize(_index(where))


# ---- what the device is


def get_device_name(where: _Where = None) -> str:
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


def get_device_properties(where: _Where = None) -> _Properties:
    """Name, memory in bytes, number of cores, capability."""
    return _Properties(_card, _shim.capacity())


def get_device_capability(where: _Where = None) -> tuple[int, int]:
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


def can_device_access_peer(one: _Where, other: _Where) -> bool:
    """True: cards of one node are joined."""
    return True


def utilization(where: _Where = None) -> int:
    """Percent of time the device was busy; a virtual device says 0 while a script runs."""
    return 0


# ---- streams and events


class _ExactType(type):
    """PyTorch checks streams and events by exact type, so these names make its own."""

    exact: type

    def __instancecheck__(cls, thing: object) -> bool:
        return isinstance(thing, cls.exact)


class _StreamType(_ExactType):
    exact = torch.Stream

    def __call__(cls, device: _Where = None, priority: int = 0, **kw: Any) -> Any:
        if kw:
            return torch.Stream(**kw)
        return torch.Stream(device=torch.device(_device.NAME, _index(device)), priority=priority)


class Stream(metaclass=_StreamType):
    """An in-order queue of one device; makes a `torch.Stream`."""


ExternalStream = Stream


class _EventType(_ExactType):
    exact = torch.Event

    def __call__(
        cls,
        enable_timing: bool = False,
        blocking: bool = False,
        interprocess: bool = False,
        **_: Any,
    ) -> Any:
        return torch.Event(_device.NAME, enable_timing=enable_timing, blocking=blocking)


class Event(metaclass=_EventType):
    """A point in a stream; `elapsed_time` between two is simulated milliseconds."""


def current_stream(where: _Where = None) -> torch.Stream:
    """The stream that ops go to now."""
    return torch._C._accelerator_getStream(_index(where))


def default_stream(where: _Where = None) -> torch.Stream:
    """The stream with number 0."""
    return torch.Stream(stream_id=0, device_index=_index(where), device_type=20)


def set_stream(stream: torch.Stream) -> None:
    """Makes a stream the current one of its device."""
    if stream is not None:
        torch._C._accelerator_setStream(stream)


class StreamContext:
    """Context manager: ops inside go to the given stream."""

    def __init__(self, stream: torch.Stream | None) -> None:
        self.stream = stream
        self.previous: torch.Stream | None = None

    def __enter__(self) -> None:
        if self.stream is not None:
            self.previous = current_stream(self.stream.device_index)
            set_stream(self.stream)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.previous is not None:
            set_stream(self.previous)


def stream(stream: torch.Stream | None) -> StreamContext:
    """Context manager: ops inside go to the given stream."""
    return StreamContext(stream)


def is_current_stream_capturing() -> bool:
    """False: nothing is being captured."""
    return False


# ---- memory


def memory_allocated(where: _Where = None) -> int:
    """Bytes of live tensors on the card."""
    return int(_shim.allocated(_index(where)))


def max_memory_allocated(where: _Where = None) -> int:
    """Highest `memory_allocated` since the last reset."""
    return int(_shim.peak(_index(where)))


def memory_reserved(where: _Where = None) -> int:
    """Bytes the caching allocator holds: the high-water mark in whole 2 MiB segments."""
    return int(_shim.reserved(_index(where)))


def max_memory_reserved(where: _Where = None) -> int:
    """Highest `memory_reserved` since the last reset."""
    return int(_shim.reserved_peak(_index(where)))


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def mem_get_info(where: _Where = None) -> tuple[int, int]:
    """(free, total) bytes of the card."""
    total = int(_shim.capacity())
    return total - memory_reserved(where), total


def memory_stats(where: _Where = None) -> dict[str, int]:
    """Counters under the names CUDA's allocator uses."""
    index = _index(where)
    allocations, frees, ooms = _shim.counts(index)
    stats: dict[str, int] = {"num_ooms": ooms, "num_alloc_retries": 0}
    amounts = {
        "allocated_bytes": (memory_allocated(index), max_memory_allocated(index)),
        "active_bytes": (memory_allocated(index), max_memory_allocated(index)),
        "reserved_bytes": (memory_reserved(index), max_memory_reserved(index)),
        "requested_bytes": (memory_allocated(index), max_memory_allocated(index)),
        "inactive_split_bytes": (0, 0),
    }
    for name, (current, peak) in amounts.items():
        stats[f"{name}.all.current"], stats[f"{name}.all.peak"] = current, peak
    stats["allocation.all.current"] = allocations - frees
    stats["allocation.all.allocated"], stats["allocation.all.freed"] = allocations, frees
    return stats


def memory_summary(where: _Where = None, abbreviated: bool = False) -> str:
    """The counters as lines of text."""
    return "\n".join(f"{name:<32} {value:>16,}" for name, value in memory_stats(where).items())


def memory_snapshot() -> list[dict[str, Any]]:
    """One row per live allocation of the current device."""
    return [{"address": n, "total_size": size} for n, size, _ in _shim.live(current_device())]


def reset_peak_memory_stats(where: _Where = None) -> None:
    """Peaks start again from what is live now."""
    _shim.reset_peak(_index(where))


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def reset_accumulated_memory_stats(where: _Where = None) -> None:
    """Accepted; counters of allocations keep running."""


def empty_cache() -> None:
    """The caching allocator gives back what no tensor uses."""
    _shim.empty_cache()


def set_per_process_memory_fraction(fraction: float, where: _Where = None) -> None:
    """Accepted, not enforced: one process owns the virtual card."""


def ipc_collect() -> None:
    """Nothing to do."""


# ---- random


def manual_seed(seed: int) -> None:
    """Seeds the current device."""
    _generators[current_device()].manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """Seeds every device."""
    for generator in _generators:
        generator.manual_seed(seed)


def seed() -> None:
    """Seeds the current device from the host's entropy."""
    _generators[current_device()].seed()


def seed_all() -> None:
    """Seeds every device alike from the host's entropy."""
    manual_seed_all(_generators[0].seed())


def initial_seed() -> int:
    """The seed of the current device."""
    return _generators[current_device()].initial_seed()


def get_rng_state(where: _Where = None) -> torch.Tensor:
    """State of a device's generator."""
    return _generators[_index(where)].get_state()


def set_rng_state(state: torch.Tensor, where: _Where = None) -> None:
    """Restores a state."""
    _generators[_index(where)].set_state(state)


def get_rng_state_all() -> list[torch.Tensor]:
    """States of all devices."""
    return [generator.get_state() for generator in _generators]


def set_rng_state_all(states: Iterable[torch.Tensor]) -> None:
    """Restores the states of all devices."""
    for generator, state in zip(_generators, states, strict=False):
        generator.set_state(state)


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
