"""Without numerics an optimizer on the host computes nothing where there are no values.

Large host tensors without values are hollow (see `shim/hollow.h`): they stand on few pages, mapped
over and over. An element by element op of which every large tensor is hollow would only stir
these pages, so it is left out; what it returns has the right shape and format. Nothing else
changes: small tensors and tensors with values are computed, and the host's ops cost no simulated
time either way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: How far apart the same page of a hollow tensor lies: `PAGES_BYTES` of `shim/hollow.h`.
PAGES_BYTES = 8 << 20
LISTS = ("aten::_foreach_", "aten::_fused_")

_is_on = False
_is_installed = False


def install(is_on: bool) -> None:
    """From now on steps of optimizers on the host leave hollow tensors alone, or do not."""
    global _is_on, _is_installed
    _is_on = is_on
    if not _is_installed:
        _is_installed = True
        optimizer: Any = torch.optim.Optimizer
        hook = optimizer.profile_hook_step
        optimizer.profile_hook_step = staticmethod(lambda step: hook(_without_values(step)))


def _without_values(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def wrapped(self: torch.optim.Optimizer, *arguments: Any, **keywords: Any) -> Any:
        if not (_is_on and _is_on_host(self)):
            return step(self, *arguments, **keywords)
        with LeavesHollow():
            return step(self, *arguments, **keywords)

    return wrapped


def _is_on_host(optimizer: torch.optim.Optimizer) -> bool:
    groups = optimizer.param_groups
    return any(p.device.type == "cpu" for group in groups for p in group["params"])


def is_hollow(tensor: torch.Tensor) -> bool:
    """True for a host tensor whose memory shows what is written in it once more further on."""
    if tensor.device.type != "cpu" or tensor.layout != torch.strided:
        return False
    storage = tensor.untyped_storage()
    if storage.nbytes() <= PAGES_BYTES:
        return False
    here, there = storage[0], storage[PAGES_BYTES]
    if here != there:
        return False
    storage[0] = here ^ 1
    shows = bool(storage[PAGES_BYTES] != there)
    storage[0] = here
    return shows


class LeavesHollow(TorchDispatchMode):
    """Leaves out element by element ops on hollow tensors."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """The op, for tensors that have values; sharded tensors come again, by their shards."""
        keywords = kwargs or {}
        if any(kind.__name__ == "DTensor" for kind in types):
            return NotImplemented
        if any(kind not in (torch.Tensor, torch.nn.Parameter) for kind in types):
            return func(*args, **keywords)
        name = str(func.name())
        is_in_place = func._schema.is_mutable
        if name.startswith(LISTS) and is_in_place:
            return _on_values(func, args, keywords)
        if name == "aten::zeros_like" and _are_hollow(_tensors(args)):
            return torch.empty_like(*args, **keywords)
        if torch.Tag.pointwise in func.tags and not name.startswith(LISTS):
            tensors = _tensors((*args, *keywords.values()))
            if _are_hollow(tensors):
                return args[0] if is_in_place else _empty(func, args, keywords)
        return func(*args, **keywords)


def _tensors(values: Iterable[Any]) -> list[torch.Tensor]:
    return [value for value in values if isinstance(value, torch.Tensor)]


def _are_hollow(tensors: Sequence[torch.Tensor]) -> bool:
    """True if every tensor but single numbers is hollow, and one is."""
    large = [tensor for tensor in tensors if tensor.numel() > 1]
    return bool(large) and all(is_hollow(tensor) for tensor in large)


def _empty(func: Any, args: Any, keywords: Any) -> torch.Tensor:
    """What the op would return, without values."""

    def shape_of(value: Any) -> Any:
        return value.to("meta") if isinstance(value, torch.Tensor) else value

    meta = func(*map(shape_of, args), **{k: shape_of(v) for k, v in keywords.items()})
    return torch.empty_like(meta, device="cpu")


def _on_values(func: Any, args: Any, keywords: Any) -> Any:
    """A list op on the places of its lists where some tensor has values."""
    count = len(args[0])
    if not count:
        return func(*args, **keywords)
    lists = [value for value in args if _is_list(value, count)]
    places = [at for at in range(count) if not _are_hollow(_tensors(one[at] for one in lists))]
    if len(places) == count:
        return func(*args, **keywords)
    if places:
        kept = [[a[at] for at in places] if _is_list(a, count) else a for a in args]
        named = {k: [v[at] for at in places] if _is_list(v, count) else v
                 for k, v in keywords.items()}  # fmt: skip
        func(*kept, **named)
    return args[0] if func._schema.returns else None


def _is_list(value: Any, count: int) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == count
