"""Memory of `torch.gcu`: what is allocated, reserved and free on a card, in bytes."""

from __future__ import annotations

from typing import Any

from suiren.torch import _shim
from suiren.torch.where import Where, index_of


def memory_allocated(where: Where = None) -> int:
    """Bytes of live tensors on the card."""
    return int(_shim.allocated(index_of(where)))


def max_memory_allocated(where: Where = None) -> int:
    """Highest `memory_allocated` since the last reset."""
    return int(_shim.peak(index_of(where)))


def memory_reserved(where: Where = None) -> int:
    """Bytes the caching allocator holds: the high-water mark in whole 2 MiB segments."""
    return int(_shim.reserved(index_of(where)))


def max_memory_reserved(where: Where = None) -> int:
    """Highest `memory_reserved` since the last reset."""
    return int(_shim.reserved_peak(index_of(where)))


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def mem_get_info(where: Where = None) -> tuple[int, int]:
    """(free, total) bytes of the card."""
    total = int(_shim.capacity())
    return total - memory_reserved(where), total


def memory_stats(where: Where = None) -> dict[str, int]:
    """Counters under the names CUDA's allocator uses."""
    index = index_of(where)
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


def memory_summary(where: Where = None, abbreviated: bool = False) -> str:
    """The counters as lines of text."""
    return "\n".join(f"{name:<32} {value:>16,}" for name, value in memory_stats(where).items())


def memory_snapshot() -> list[dict[str, Any]]:
    """One row per live allocation of the current device."""
    return [{"address": n, "total_size": size} for n, size, _ in _shim.live(index_of(None))]


def reset_peak_memory_stats(where: Where = None) -> None:
    """Peaks start again from what is live now."""
    _shim.reset_peak(index_of(where))


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def reset_accumulated_memory_stats(where: Where = None) -> None:
    """Accepted; counters of allocations keep running."""


def empty_cache() -> None:
    """The caching allocator gives back what no tensor uses."""
    _shim.empty_cache()


def set_per_process_memory_fraction(fraction: float, where: Where = None) -> None:
    """Accepted, not enforced: one process owns the virtual card."""


def ipc_collect() -> None:
    """Nothing to do."""
