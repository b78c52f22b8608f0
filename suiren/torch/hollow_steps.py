"""Without numerics the host computes nothing where there are no values.

Large host tensors without values are hollow (see `shim/hollow.h`): they stand on few pages, mapped
over and over. An element by element op of which every large tensor is hollow would only stir
these pages, so it is left out; what it returns has the right shape and format. Shards that
`to_empty` brings to the host are hollow from the start, and `torch.nn.init` leaves them alone.
Nothing else changes: small tensors and tensors with values are computed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from suiren.torch import _shim
from suiren.torch.device import NAME

#: How far apart the same page of a hollow tensor lies: `PAGES_BYTES` of `shim/hollow.h`.
PAGES_BYTES = 8 << 20
NORM, NORMS = "aten::linalg_vector_norm", "aten::_foreach_norm.Scalar"
LISTS = ("aten::_foreach_", "aten::_fused_")

#: Ways of `torch.nn.init` to fill a tensor that it returns.
_FILLS = """uniform_ normal_ trunc_normal_ constant_ ones_ zeros_ eye_ dirac_ xavier_uniform_
xavier_normal_ kaiming_uniform_ kaiming_normal_ orthogonal_ sparse_""".split()

_is_on = False
_is_installed = False


def install(is_on: bool) -> None:
    """From now on the host leaves hollow tensors alone, or does not."""
    global _is_on, _is_installed
    _is_on = is_on
    if not is_on or _is_installed:
        return
    _is_installed = True
    module: Any = torch.nn.Module
    module.to_empty = _made_hollow(module.to_empty)
    for name in _FILLS:
        setattr(torch.nn.init, name, _with_values(getattr(torch.nn.init, name)))


def left_out() -> AbstractContextManager[Any]:
    """Inside, ops on hollow tensors are left out; nothing changes where values are computed."""
    return LeavesHollow() if _is_on else nullcontext()


def _made_hollow(to_empty: Callable[..., Any]) -> Callable[..., Any]:
    """Shards that come to the host without values take no memory there."""

    @functools.wraps(to_empty)
    def wrapped(self: torch.nn.Module, *arguments: Any, **keywords: Any) -> Any:
        made = to_empty(self, *arguments, **keywords)
        shards = [getattr(p, "_local_tensor", None) for p in self.parameters()] if _is_on else []
        for shard in shards:
            if shard is not None and shard.device.type == "cpu" and shard.nbytes > PAGES_BYTES:
                _hollow(shard)
        return made

    return wrapped


def _hollow(tensor: torch.Tensor) -> None:
    """What a copy from the card does to a host tensor, which no record needs to know."""
    _shim.recording(False)
    with torch.no_grad():
        nowhere = torch.empty(1 << 17, dtype=tensor.dtype, device=NAME)
        tensor.copy_(nowhere[:1].reshape([1] * tensor.dim()).expand(tensor.shape))
        del nowhere
    _shim.recording(True)


def _with_values(fill: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fill)
    def wrapped(tensor: Any, *arguments: Any, **keywords: Any) -> Any:
        if _is_on and is_hollow(getattr(tensor, "_local_tensor", tensor)):
            return tensor
        return fill(tensor, *arguments, **keywords)

    return wrapped


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
    """Leaves out element by element ops and norms of hollow tensors; a norm answers 1."""

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
        if name == NORM and is_hollow(args[0]):
            return torch.ones((), dtype=keywords.get("dtype"))
        if name == NORMS:
            return _norms(func, args, keywords)
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


def _norms(func: Any, args: Any, keywords: Any) -> list[torch.Tensor]:
    """The norm of each tensor of a list."""
    kept = [tensor for tensor in args[0] if not is_hollow(tensor)]
    found = iter(func(kept, *args[1:], **keywords) if kept else ())
    one = torch.ones((), dtype=keywords.get("dtype"))
    return [one.clone() if is_hollow(tensor) else next(found) for tensor in args[0]]


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
