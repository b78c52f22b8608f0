"""Capture of kernels into a graph, and their replay on the same memory.

Kernels are captured below autograd, with every tensor as a place in a storage. While a
graph is captured they run, so that shapes are known, and what they wrote into memory that was
there before is put back: as on CUDA, capturing changes nothing. A replay runs them again:
storages that were alive when the capture ended keep their addresses, the rest lives only as
long as it is needed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_unflatten

from suiren.torch import _shim
from suiren.torch.device import NAME
from suiren.torch.launching import as_one, contexts_of, new_number
from suiren.torch.watch import Captured
from suiren.trace.program import EVENT, Kind

Storage = torch.UntypedStorage
_where = torch._C.TensorBase.device.__get__

NOT_PERMITTED = "CUDA error: operation not permitted when stream is capturing"
#: Ops whose answer the host has to wait for.
_WAITS = {
    "_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2",
    "unique_dim", "unique_consecutive", "unique_dim_consecutive", "bincount",
}  # fmt: skip
_INDEXED = {"index", "index_put_", "index_put", "_index_put_impl_"}
"""Ops that count what a mask selects."""
_COPIES = {"copy_", "_to_copy", "_copy_from"}


@dataclass(frozen=True, slots=True)
class Place:
    """A tensor as a place in a storage; `slot` is the storage's number in the graph."""

    slot: int
    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    is_conj: bool

    def at(self, storage: Storage) -> torch.Tensor:
        """The tensor over a storage."""
        x = torch.empty(0, dtype=self.dtype, device=storage.device)
        x.set_(storage, self.offset, self.size, self.stride)
        return x.conj() if self.is_conj else x


@dataclass(slots=True)
class Kernel:
    """One captured op: arguments with places for tensors, and the slots of what it makes."""

    op: Callable[..., Any]
    leaves: list[Any]
    spec: Any
    made: list[int | None]
    first_event: int = 0
    last_event: int = 0
    dies: tuple[int, ...] = ()
    """Slots that nothing needs after this kernel."""


@dataclass
class Launchable:
    """What a capture left: kernels in order, and the storages that stay."""

    kernels: list[Kernel]
    kept: dict[int, Storage]
    seen: Captured
    number: int = field(default_factory=new_number)

    def replay(self) -> None:
        """Runs the kernels as one launch on the memory they were captured on."""
        self.seen.batches_arrive()
        env: dict[int, Storage] = {}
        with torch.no_grad(), as_one(self.number):
            for kernel in self.kernels:
                self._run(kernel, env)
                for slot in kernel.dies:
                    env.pop(slot, None)
        self.seen.optimizers_step()

    def _run(self, kernel: Kernel, env: dict[int, Storage]) -> None:
        leaves = [
            x.at(self.kept.get(x.slot) or env[x.slot]) if isinstance(x, Place) else x
            for x in kernel.leaves
        ]
        args, kwargs = tree_unflatten(leaves, kernel.spec)
        made = tensors_of(kernel.op(*args, **kwargs))
        for slot, tensor in zip(kernel.made, made, strict=True):
            if slot is None:
                continue
            storage = tensor.untyped_storage()
            if slot in self.kept:
                move(storage, self.kept[slot])
            else:
                env[slot] = storage


def tensors_of(thing: Any) -> list[torch.Tensor]:
    """The tensors of a structure, in order."""
    return [x for x in tree_flatten(thing)[0] if isinstance(x, torch.Tensor)]


def on_card(tensor: torch.Tensor) -> bool:
    """Whatever the tensor calls its device."""
    return bool(_where(tensor).type == NAME)


def move(source: Storage, target: Storage) -> None:
    """Bytes from one storage of the card to another; a graph's kernel would write there itself."""
    size = min(source.nbytes(), target.nbytes())
    if size and _is_real(source) and _is_real(target):
        ctypes.memmove(target.data_ptr(), source.data_ptr(), size)


def _is_real(storage: Storage) -> bool:
    return _shim.is_real(Place(0, torch.uint8, (0,), (1,), 0, False).at(storage))


class Capture(TorchDispatchMode):
    """Captures every op of the card that runs inside."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[Kernel] = []
        self.slots: dict[int, tuple[int, StorageWeakRef]] = {}
        self.outside: dict[int, Storage] = {}
        self.saved: dict[int, bytes] = {}
        self.states = [g.get_state() for g in _shim.generators()]

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs the op and remembers it."""
        kwargs = kwargs or {}
        given = tensors_of((args, kwargs))
        check_permitted(op, given, kwargs)
        leaves, spec = tree_flatten((args, kwargs))
        places = [self._place(x) if isinstance(x, torch.Tensor) else x for x in leaves]
        self._save_what_is_written(op, args, kwargs)
        first = _shim.num_events_now()
        result = op(*args, **kwargs)
        made = tensors_of(result)
        if not any(on_card(t) for t in (*given, *made)):
            return result
        new = [self._new_slot(t) for t in made]
        if any(slot is not None for slot in new) or op._schema.is_mutable:
            last = _shim.num_events_now()
            self.kernels.append(Kernel(op, places, spec, new, first, last))
        return result

    def _place(self, tensor: torch.Tensor) -> Any:
        """A place for a tensor of the card; one of the host stays, a number is taken as it is."""
        if not on_card(tensor):
            return tensor.clone() if tensor.dim() == 0 else tensor
        storage = tensor.untyped_storage()
        found = self.slots.get(storage._cdata)
        if found is None:
            slot = self._add(storage)
            self.outside[slot] = storage
        else:
            slot = found[0]
        return Place(
            slot, tensor.dtype, tuple(tensor.size()), tuple(tensor.stride()),
            int(tensor.storage_offset()), tensor.is_conj(),
        )  # fmt: skip

    def _add(self, storage: Storage) -> int:
        slot = len(self.slots)
        # The weak reference also keeps the storage's identity from being given to another.
        self.slots[storage._cdata] = (slot, StorageWeakRef(storage))
        return slot

    def _new_slot(self, tensor: torch.Tensor) -> int | None:
        """The slot of a storage that an op made, None if the storage was there before."""
        storage = tensor.untyped_storage()
        if not on_card(tensor) or storage._cdata in self.slots:
            return None
        return self._add(storage)

    def _save_what_is_written(self, op: Any, args: Any, kwargs: Any) -> None:
        for index, argument in enumerate(op._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = args[index] if index < len(args) else kwargs.get(argument.name)
            for tensor in tensors_of(value):
                slot = self.slots[tensor.untyped_storage()._cdata][0] if on_card(tensor) else -1
                if slot in self.outside and slot not in self.saved and _shim.is_real(tensor):
                    storage = self.outside[slot]
                    self.saved[slot] = ctypes.string_at(storage.data_ptr(), storage.nbytes())

    def end(self, seen: Captured) -> Launchable:
        """Puts everything back as it was and returns what was captured."""
        for slot, data in self.saved.items():
            ctypes.memmove(self.outside[slot].data_ptr(), data, len(data))
        for generator, state in zip(_shim.generators(), self.states, strict=True):
            generator.set_state(state)
        kept = dict(self.outside)
        for cdata, (slot, reference) in self.slots.items():
            if not reference.expired():
                kept[slot] = Storage._new_with_weak_ptr(cdata)
        self._note_deaths(kept)
        seen.calls = [call for call in seen.calls if self._stays(call, kept)]
        captured = Launchable(self.kernels, kept, seen)
        contexts_of[captured.number] = self._contexts()
        return captured

    def _stays(self, call: Any, kept: dict[int, Storage]) -> bool:
        """True where what a module was called with is there at every replay."""
        found = [self.slots.get(t.untyped_storage()._cdata) for t in tensors_of(call[1:])]
        return all(slot is not None and slot[0] in kept for slot in found)

    def _note_deaths(self, kept: dict[int, Storage]) -> None:
        last: dict[int, int] = {}
        for index, kernel in enumerate(self.kernels):
            for leaf in (*kernel.leaves, *kernel.made):
                slot = leaf.slot if isinstance(leaf, Place) else leaf
                if (isinstance(leaf, Place) or leaf in kernel.made) and slot is not None:
                    last[slot] = index
        for slot, index in last.items():
            if slot not in kept:
                self.kernels[index].dies += (slot,)

    def _contexts(self) -> list[int]:
        """Of every op that a replay will record."""
        import numpy as np

        events = np.frombuffer(_shim.events_now()[0], EVENT)
        found: list[int] = []
        for kernel in self.kernels:
            rows = events[kernel.first_event : kernel.last_event]
            found += rows["context"][rows["kind"] == Kind.OP].tolist()
        return found


def check_permitted(op: Any, given: list[torch.Tensor], kwargs: dict[str, Any]) -> None:
    """Raises in CUDA's words for what a stream that is capturing cannot do."""
    name = op._schema.name.removeprefix("aten::")
    if not any(on_card(t) for t in given):
        target = kwargs.get("device")
        if name != "_to_copy" or target is None or torch.device(target).type != NAME:
            return
    masks = (torch.bool, torch.uint8)
    by_mask = name in _INDEXED and any(t.dtype in masks for t in given[1:])
    if name in _WAITS or by_mask:
        raise torch.AcceleratorError(NOT_PERMITTED)
    if name not in _COPIES:
        return
    hosts = [t for t in given if not on_card(t)]
    to_host = torch.device(kwargs.get("device") or NAME).type == "cpu"
    if to_host or any(not t.is_pinned() for t in hosts):
        raise RuntimeError(
            "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU "
            "tensor is pinned. Please use tensor.pin_memory() or allocate the tensor with "
            "pin_memory=True."
        )
