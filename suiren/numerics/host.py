"""The card's tensors seen from the host, and what is held beside each storage.

A card's memory is host memory, so its values are read in place: nothing is copied, recorded
or accounted. Beside each storage stand its shadow (the values of the other run), its exact
values (this run without the rounding of the expression they stand in) and who wrote it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from suiren.numerics.place import Place

#: Ops between two sweeps of what belongs to dead storages.
SWEEP_EVERY = 64


def is_card(thing: object) -> bool:
    """A tensor on the card, whatever device it says it is on."""
    return (
        isinstance(thing, torch.Tensor)
        and not thing.is_cpu
        and not thing.is_meta
        and thing.layout == torch.strided
    )


def on_host(tensor: torch.Tensor) -> torch.Tensor:
    """The same memory as a host tensor of the same shape and strides."""
    storage = tensor.untyped_storage()
    size_bytes = storage.nbytes()
    if size_bytes == 0 or tensor.numel() == 0:
        return torch.empty(tensor.shape, dtype=tensor.dtype)
    memory = (ctypes.c_char * size_bytes).from_address(storage.data_ptr())
    count = size_bytes // tensor.element_size()
    flat = torch.frombuffer(memory, dtype=tensor.dtype, count=count)
    view = flat.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
    if tensor.is_conj():
        view = view.conj()
    return torch._neg_view(view) if tensor.is_neg() else view


@dataclass
class Values:
    """Wide values of a storage, one for each element of the format it is seen in."""

    flat: torch.Tensor
    dtype: torch.dtype
    """The card's format; seen in another one, the values say nothing."""

    def seen_as(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The part of the values that the tensor views, or None where it views other bits."""
        if self.dtype != tensor.dtype:
            return None
        need = tensor.storage_offset() + sum(
            (n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)
        )
        if tensor.numel() and need >= self.flat.numel():
            return None
        view = self.flat.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())
        return torch._neg_view(view) if tensor.is_neg() else view


@dataclass
class Held:
    """What is held beside one storage of the card."""

    alive: StorageWeakRef
    shadow: Values | None = None
    exact: Values | None = None
    maker: Place | None = None
    """The op that wrote it last."""
    chain: Chain | None = None
    scope: tuple[object, ...] = ()
    """The expression that the exact values belong to: a module's call, a node, a step."""
    unit: float = 0.0
    """Unit roundoff of the coarsest format that the values came through."""
    norm: float = 0.0
    """Of its exact values."""
    is_noise: bool = False
    """A sum that cancelled to nothing but roundings, or what was made of such sums alone."""
    apart: float = 0.0
    """Norm of what differs from the shadow, over the norm of the shadow."""
    error: float = 0.0
    """Norm of what differs from the exact values, over the norm of the values."""
    readers: set[tuple[str, int]] = field(default_factory=set)
    """Lines that read it since it was written."""


@dataclass(frozen=True)
class Chain:
    """A sum that grows term by term: each term was added at the same line."""

    line: tuple[str, int]
    length: int
    is_pure: bool
    """Nothing but the next addition read the partial sums."""
    starts: Place
    unit: float
    """Unit roundoff of the coarsest format that a partial sum was held in."""


class Table:
    """Storages by identity. A weak reference keeps the identity from being used again."""

    def __init__(self) -> None:
        self._held: dict[int, Held] = {}
        self._since_sweep = 0

    def of(self, tensor: torch.Tensor) -> Held | None:
        """What is held beside the tensor's storage, None for one never written under watch."""
        held = self._held.get(tensor.untyped_storage()._cdata)
        if held is not None and held.alive.expired():
            return None
        return held

    def make(self, tensor: torch.Tensor) -> Held:
        """The same, made where it is not there yet."""
        storage = tensor.untyped_storage()
        held = self._held.get(storage._cdata)
        if held is None or held.alive.expired():
            held = self._held[storage._cdata] = Held(StorageWeakRef(storage))
        return held

    def sweep(self) -> None:
        """Drops, now and then, what belongs to storages that are gone."""
        self._since_sweep += 1
        if self._since_sweep < SWEEP_EVERY:
            return
        self._since_sweep = 0
        gone = [key for key, held in self._held.items() if held.alive.expired()]
        for key in gone:
            del self._held[key]

    def size_bytes(self) -> int:
        """Bytes of the wide values held now."""
        values = [v for h in self._held.values() for v in (h.shadow, h.exact) if v is not None]
        return sum(v.flat.numel() * v.flat.element_size() for v in values)


def widened(tensor: torch.Tensor, wide: torch.dtype) -> torch.Tensor:
    """The card's values on the host: floats in the wide format, copied; the rest as it is."""
    seen = on_host(tensor) if is_card(tensor) else tensor
    return seen.to(wide, copy=True) if seen.is_floating_point() else seen


def write(values: Values | None, tensor: torch.Tensor, result: Any, wide: torch.dtype) -> Values:
    """The values with the tensor's part replaced by `result`; made from the card if missing."""
    part = values.seen_as(tensor) if values is not None else None
    if values is None or part is None or values.flat.dtype != wide:
        count = tensor.untyped_storage().nbytes() // max(1, tensor.element_size())
        whole = tensor.numel() == count
        flat = torch.empty(count, dtype=wide)
        if not whole:
            flat.copy_(on_host(tensor.as_strided((count,), (1,), 0)))
        values = Values(flat, tensor.dtype)
        part = values.seen_as(tensor)
    assert part is not None
    part.copy_(result)
    return values
