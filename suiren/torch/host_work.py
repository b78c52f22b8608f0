"""What the host computes as part of a step: seen, summed by op, and written into the record.

Watched are steps of optimizers whose parameters lie on the host, clipping and unscaling of
gradients there, and the sums of gradients that FSDP keeps there. All ops of one name that follow
each other without an op of the card in between become one op `host::NAME` of the record; what it
takes is the host's memory traffic (`suiren.mapper.host`). Data loading and Python are left out,
and so is a step in which the card did nothing.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

from suiren.mapper.families.host import NAMESPACE
from suiren.torch import _shim
from suiren.torch.device import NAME
from suiren.torch.hollow_steps import left_out

_LIBRARY = NAMESPACE.removesuffix("::")
#: Ops whose old contents of what they write are of no use.
_WRITES_ONLY = ("aten::copy_", "aten::zero_", "aten::fill_", "aten::_foreach_zero_",
                "aten::_foreach_copy_")  # fmt: skip
_FSDP = "torch.distributed.fsdp._fully_shard._fsdp_param_group"
#: Ops that only take memory, or look at a tensor in another way.
_MOVES_NOTHING = frozenset(
    f"aten::{name}" for name in """empty empty_strided empty_like new_empty new_empty_strided
    resize_ set_ detach_""".split()
)
_is_installed = False
_watches_sums = False
_libraries: list[torch.library.Library] = []
_ops: dict[str, Callable[..., None]] = {}
_anchors: dict[int, torch.Tensor] = {}


def install() -> None:
    """From now on the host's part of a step is in the record; a second call does nothing."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    optimizer: Any = torch.optim.Optimizer
    hook = optimizer.profile_hook_step
    optimizer.profile_hook_step = staticmethod(lambda step: hook(_watched(step, is_on_host)))
    for kind in _kinds(torch.optim.Optimizer):  # whose first one was made before
        if getattr(kind.__dict__.get("step"), "hooked", False):
            kind.step = _watched(kind.__dict__["step"], is_on_host)
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        clip = _watched(getattr(torch.nn.utils, name), lambda _: True, takes_tensors=True)
        setattr(torch.nn.utils, name, clip)
        setattr(torch.nn.utils.clip_grad, name, clip)
    scaler: Any = torch.amp.GradScaler
    scaler.unscale_ = _watched(scaler.unscale_, lambda _: True)


def _kinds(kind: Any) -> Iterator[Any]:
    """All classes that derive from one."""
    for one in kind.__subclasses__():
        yield one
        yield from _kinds(one)


def is_on_host(optimizer: torch.optim.Optimizer) -> bool:
    """True where some parameter of an optimizer lies on the host."""
    groups = optimizer.param_groups
    return any(p.device.type == "cpu" for group in groups for p in group["params"])


def _watched(
    work: Callable[..., Any], is_worth_it: Callable[[Any], bool], takes_tensors: bool = False
) -> Callable[..., Any]:
    """The same, looked at where its first argument says that the host may have to work."""

    @functools.wraps(work)
    def watched(first: Any, *arguments: Any, **keywords: Any) -> Any:
        if takes_tensors:
            first = [first] if isinstance(first, torch.Tensor) else list(first)
            asks = any(p.grad is not None and p.grad.device.type == "cpu" for p in first)
        else:
            asks = is_worth_it(first)
        _watch_sums()
        if not asks:
            return work(first, *arguments, **keywords)
        with watching():
            return work(first, *arguments, **keywords)

    return watched


@contextmanager
def watching() -> Iterator[None]:
    """The host's ops inside go into the record, if the card has work in this step."""
    with left_out():  # around the watch, which sees what is left out
        if not _shim.num_events_now():
            yield
            return
        mode = Watching()
        with mode:
            yield
    mode.write()


@dataclass(slots=True)
class _Sum:
    ops: int = 0
    read_bytes: int = 0
    written_bytes: int = 0


class Watching(TorchDispatchMode):
    """Sums up what ops on host tensors read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.sums: dict[str, _Sum] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        """The op, counted; sharded tensors come again, by their shards."""
        keywords = kwargs or {}
        if any(kind.__name__ == "DTensor" for kind in types):
            return NotImplemented
        result = func(*args, **keywords)
        self._count(func, args, keywords, result)
        return result

    def _count(self, func: Any, args: Any, keywords: Any, result: Any) -> None:
        given = list(zip(func._schema.arguments, args, strict=False))
        given += [(a, keywords[a.name]) for a in func._schema.arguments if a.name in keywords]
        tensors = [t for _, value in given for t in _tensors(value)]
        if any(t.device.type not in ("cpu", "meta") for t in tensors):
            self.write()
            return
        if all(t.numel() < 2 for t in tensors):
            return  # a number, such as a scale or a count of steps, is part of issuing an op
        name = str(func.name()).split(".")[0]
        if not name.startswith("aten::") or name in _MOVES_NOTHING:
            return
        written = sum(_bytes(value) for a, value in given if _is_written(a, name))
        if not func._schema.is_mutable:
            if any(r.alias_info is not None for r in func._schema.returns):
                return  # a view moves nothing
            written = _bytes(result)
        read = 0 if name.endswith("_like") else sum(
            _bytes(value) for a, value in given
            if not (name in _WRITES_ONLY and _is_written(a, name))
        )  # fmt: skip
        if not read and not written:
            return
        total = self.sums.setdefault(name.split("::")[-1], _Sum())
        first = given[0][1] if given else None
        total.ops += len(first) if isinstance(first, (list, tuple)) and _tensors(first) else 1
        total.read_bytes += read
        total.written_bytes += written

    def write(self) -> None:
        """Writes what was summed so far into the record."""
        sums, self.sums = self.sums, {}
        if not sums:
            return
        with _disable_current_modes(), torch.no_grad():
            for name, total in sums.items():
                _op(name)(_anchor(), total.ops, total.read_bytes, total.written_bytes)


def _is_written(argument: Any, op: str) -> bool:
    """Fused optimizers write gradients only where they unscale them."""
    if argument.name == "grads" and op.startswith("aten::_fused_"):
        return False
    return argument.alias_info is not None and bool(argument.alias_info.is_write)


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for t in value if isinstance(t, torch.Tensor)]
    return []


def _bytes(value: Any) -> int:
    return sum(t.numel() * t.element_size() for t in _tensors(value))


def _anchor() -> torch.Tensor:
    """A tensor of the current card without elements: it brings the op into that card's record."""
    device = int(_shim.current_device())
    found = _anchors.get(device)
    if found is None:
        found = _anchors[device] = torch.empty(0, device=f"{NAME}:{device}")
    return found


def _op(name: str) -> Callable[..., None]:
    found = _ops.get(name)
    if found is None:
        if not _libraries:
            _libraries.append(torch.library.Library(_LIBRARY, "DEF"))
        library = _libraries[0]
        library.define(
            f"{name}(Tensor anchor, int ops, int read_bytes, int written_bytes) -> ()"
        )
        library.impl(name, _nothing, "CPU")
        library.impl(name, _nothing, "Meta")
        found = _ops[name] = getattr(getattr(torch.ops, _LIBRARY), name)
    return found


def _nothing(*_: object) -> None:
    """The host has computed already."""


def _watch_sums() -> None:
    """FSDP reduces gradients; where they stay on the host it adds them up there."""
    global _watches_sums
    groups: Any = sys.modules.get(_FSDP)
    if _watches_sums or groups is None:
        return
    _watches_sums = True
    groups.foreach_reduce = _with_sums(groups.foreach_reduce)


def _with_sums(reduce: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(reduce)
    def watched(parameters: Iterable[Any], *arguments: Any, **keywords: Any) -> Any:
        parameters = list(parameters)
        if not any(getattr(p, "offload_to_cpu", False) for p in parameters):
            return reduce(parameters, *arguments, **keywords)
        with watching():
            return reduce(parameters, *arguments, **keywords)

    return watched
